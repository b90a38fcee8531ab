import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';

/** A page that a real browser shows. */
export interface ShownPage extends AsyncDisposable {
  /** What an expression is in the page; a value that JSON can hold. */
  evaluate<T>(expression: string): Promise<T>;
  /** A picture of all of it, PNG. */
  screenshot(): Promise<Buffer>;
  /** Whatever the page asked for beside itself, and what the browser had to complain of. */
  readonly asked: readonly string[];
  readonly complaints: readonly string[];
}

const START_MS = 30_000;

/** Debian's Chromium without a window, driven by its DevTools protocol through a pipe. */
export async function showPage(file: string, width = 1400): Promise<ShownPage> {
  const profile = mkdtempSync(join(tmpdir(), 'rbdsr-browser-'));
  const child = spawn(
    'chromium',
    [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      `--user-data-dir=${profile}`,
      `--window-size=${width},1000`,
      '--remote-debugging-pipe',
    ],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], detached: true },
  );
  const close = async (): Promise<void> => {
    await ended(child);
    rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
  };
  try {
    const browser = new DevTools(child);
    const url = pathToFileURL(file).href;
    const { targetId } = await browser.send<{ targetId: string }>('Target.createTarget', { url: 'about:blank' });
    const flat = { targetId, flatten: true };
    const { sessionId } = await browser.send<{ sessionId: string }>('Target.attachToTarget', flat);
    const asked: string[] = [];
    const complaints: string[] = [];
    const loaded = new Promise<void>((resolve) => {
      browser.onEvent = ({ method, params }) => {
        if (method === 'Page.loadEventFired') resolve();
        const { request } = params as { request?: { url: string } };
        if (method === 'Network.requestWillBeSent' && request !== undefined && request.url !== url)
          asked.push(request.url);
        if (method === 'Log.entryAdded' || method === 'Runtime.exceptionThrown')
          complaints.push(JSON.stringify(params).slice(0, 300));
      };
    });
    for (const domain of ['Page', 'Network', 'Log', 'Runtime']) await browser.send(`${domain}.enable`, {}, sessionId);
    await browser.send('Page.navigate', { url }, sessionId);
    await loaded;
    return {
      asked,
      complaints,
      async evaluate<T>(expression: string) {
        const options = { expression, returnByValue: true };
        const answer = await browser.send<{ result: { value: T } }>('Runtime.evaluate', options, sessionId);
        return answer.result.value;
      },
      async screenshot() {
        const options = { captureBeyondViewport: true };
        const { data } = await browser.send<{ data: string }>('Page.captureScreenshot', options, sessionId);
        return Buffer.from(data, 'base64');
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Message extends DevToolsEvent {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

interface DevToolsEvent {
  readonly method: string;
  readonly params: unknown;
}

/** Messages are JSON, each ended by a NUL. */
class DevTools {
  onEvent: (event: DevToolsEvent) => void = () => {};
  readonly #to: Writable;
  readonly #waiting = new Map<number, (answer: Message) => void>();
  #last = 0;

  constructor(child: ChildProcess) {
    this.#to = child.stdio[3] as Writable;
    let rest = '';
    (child.stdio[4] as Readable).on('data', (chunk: Buffer) => {
      const messages = (rest + chunk.toString()).split('\0');
      rest = messages.pop() ?? '';
      for (const message of messages) this.#take(JSON.parse(message) as Message);
    });
    this.#to.on('error', () => {});
  }

  send<T>(method: string, params: object, sessionId?: string): Promise<T> {
    this.#last += 1;
    const id = this.#last;
    return new Promise<T>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the browser does not answer ${method}`)), START_MS);
      this.#waiting.set(id, ({ result, error }) => {
        clearTimeout(late);
        if (error === undefined) resolve(result as T);
        else reject(new Error(`${method}: ${error.message}`));
      });
      this.#to.write(`${JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })}\0`);
    });
  }

  #take(message: Message): void {
    if (message.id === undefined) return this.onEvent(message);
    this.#waiting.get(message.id)?.(message);
    this.#waiting.delete(message.id);
  }
}

/** The browser and the processes that it has started. */
function ended(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  const end = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  process.kill(-child.pid, 'SIGKILL');
  return end;
}
