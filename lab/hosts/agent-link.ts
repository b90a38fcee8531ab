import { connect, createServer, type Server, type Socket } from 'node:net';
import type { XapiRoute } from './xapi-route.ts';
import { type Frame, encodeFrame, frameReader } from './frames.ts';

export interface RawOutcome {
  /** A signal is 128 and its number. */
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export interface ExecOptions {
  readonly stdin?: string | Uint8Array;
  /** The whole environment but PATH. */
  readonly env?: Readonly<Record<string, string>>;
  /** Then the program and its children of the same session are killed. Default: two minutes. */
  readonly timeoutMs?: number;
}

/** A way to run programs in a host. */
export interface HostLink {
  exec(argv: readonly string[], o?: ExecOptions): Promise<RawOutcome>;
}

/**
 * This end of the connection to one host's agent: many commands at once, and the host's connections to xapi where they
 * come this way.
 */
export class AgentLink implements HostLink {
  /** Settles when the host is up. */
  readonly ready: Promise<void>;
  readonly #server: Server;
  readonly #waiting = new Map<number, { resolve(outcome: RawOutcome): void; reject(error: Error): void }>();
  readonly #channels = new Map<number, Socket>();
  readonly #xapi: XapiRoute | undefined;
  #agent: Socket | undefined;
  #lastId = 0;
  #hello: () => void = () => undefined;

  /**
   * The agent connects to `at`, a socket's path or a server that listens already; xapi's connections go where `xapi`
   * says.
   */
  constructor(at: string | Server, xapi?: XapiRoute) {
    this.#xapi = xapi;
    this.ready = new Promise((resolve) => (this.#hello = resolve));
    this.#server = createServer((socket) => this.#accept(socket)).listen(at);
  }

  exec(argv: readonly string[], o: ExecOptions = {}): Promise<RawOutcome> {
    this.#lastId += 1;
    const id = this.#lastId;
    const stdin = Buffer.from(o.stdin ?? '').toString('base64');
    return new Promise((resolve, reject) => {
      if (this.#agent === undefined) return reject(new Error('the host is off'));
      this.#waiting.set(id, { resolve, reject });
      this.#say({ kind: 'exec', id, argv, stdin, env: o.env ?? {}, timeoutMs: o.timeoutMs ?? 120_000 });
    });
  }

  close(): void {
    this.#agent?.destroy();
    this.#lost();
    this.#server.close();
  }

  #accept(socket: Socket): void {
    this.#agent = socket;
    socket.on(
      'data',
      frameReader((frame) => this.#onFrame(frame)),
    );
    socket.on('error', () => undefined);
    socket.on('close', () => this.#lost());
  }

  #lost(): void {
    this.#agent = undefined;
    for (const waiter of this.#waiting.values()) waiter.reject(new Error('the host went off during the command'));
    this.#waiting.clear();
    for (const channel of this.#channels.values()) channel.destroy();
    this.#channels.clear();
  }

  #onFrame(frame: Frame): void {
    if (frame.kind === 'hello') this.#hello();
    else if (frame.kind === 'ended') {
      const [stdout, stderr] = [Buffer.from(frame.stdout, 'base64'), Buffer.from(frame.stderr, 'base64')];
      this.#waiting.get(frame.id)?.resolve({ code: frame.code, stdout, stderr });
      this.#waiting.delete(frame.id);
    } else if (frame.kind === 'open') this.#openChannel(frame.id);
    else if (frame.kind === 'data') this.#channels.get(frame.id)?.write(Buffer.from(frame.bytes, 'base64'));
    else if (frame.kind === 'end') this.#channels.get(frame.id)?.end();
  }

  #openChannel(id: number): void {
    if (this.#xapi === undefined) return this.#say({ kind: 'end', id });
    const xapi = connect({ path: this.#xapi.path, allowHalfOpen: true });
    this.#channels.set(id, xapi);
    xapi.on('data', (chunk) => this.#say({ kind: 'data', id, bytes: chunk.toString('base64') }));
    xapi.on('error', () => xapi.destroy());
    xapi.on('end', () => this.#say({ kind: 'end', id }));
    xapi.on('close', () => {
      this.#channels.delete(id);
      this.#say({ kind: 'end', id });
    });
  }

  #say(frame: Frame): void {
    this.#agent?.write(encodeFrame(frame));
  }
}
