import { spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { constants } from 'node:os';
import { type Frame, encodeFrame, frameReader } from './frames.ts';

// Runs inside a host, bundled into its initrd: `agent.cjs LAB-HOST:PORT [XAPI-HOST:PORT]`. Without the second address,
// programs' connections to xapi go through the lab's own.
const [labAddress = '', xapiAddress] = process.argv.slice(2);
const XAPI_SOCKETS = ['/var/lib/xcp/xapi'];
const PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

const channels = new Map<number, Socket>();
let lastChannel = 0;
const lab = connect(at(labAddress), () => void greet());
lab.setNoDelay(true);
lab.on('data', frameReader(onFrame));
lab.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});

function at(address: string): { host: string; port: number } {
  const [host = '', port = ''] = address.split(':');
  return { host, port: Number(port) };
}

async function greet(): Promise<void> {
  while (!existsSync('/run/lab/ready')) await new Promise((resolve) => setTimeout(resolve, 100));
  for (const path of XAPI_SOCKETS) listenAsXapi(path);
  say({ kind: 'hello' });
}

function say(frame: Frame): void {
  lab.write(encodeFrame(frame));
}

function onFrame(frame: Frame): void {
  if (frame.kind === 'exec') run(frame);
  else if (frame.kind === 'data') channels.get(frame.id)?.write(Buffer.from(frame.bytes, 'base64'));
  else if (frame.kind === 'end') channels.get(frame.id)?.end();
}

function run({ id, argv, stdin, env, timeoutMs }: Extract<Frame, { kind: 'exec' }>): void {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, {
    detached: true,
    cwd: '/',
    env: { PATH, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => killGroup(child.pid), timeoutMs);
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(Buffer.from(stdin, 'base64'));
  const ended = (code: number, more = ''): void => {
    clearTimeout(timer);
    const said = Buffer.concat([...stderr, Buffer.from(more)]).toString('base64');
    say({ kind: 'ended', id, code, stdout: Buffer.concat(stdout).toString('base64'), stderr: said });
  };
  child.once('error', (error) => ended(127, error.message));
  child.once('close', (code, signal) => {
    if (child.pid !== undefined) ended(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
  });
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // gone meanwhile
  }
}

function listenAsXapi(path: string): void {
  rmSync(path, { force: true });
  createServer({ allowHalfOpen: true }, xapiAddress === undefined ? overLab : overNetwork).listen(path);
}

/** As a host reaches its pool: a dead network is a connection that does not come about. */
function overNetwork(client: Socket): void {
  const xapi = connect({ ...at(xapiAddress ?? ''), allowHalfOpen: true });
  for (const [from, to] of [
    [client, xapi],
    [xapi, client],
  ] as const) {
    from.on('data', (chunk) => to.write(chunk));
    from.on('end', () => to.end());
    from.on('error', () => to.destroy());
    from.on('close', () => to.end());
  }
}

function overLab(client: Socket): void {
  lastChannel += 1;
  const id = lastChannel;
  channels.set(id, client);
  say({ kind: 'open', id });
  client.on('data', (chunk) => say({ kind: 'data', id, bytes: chunk.toString('base64') }));
  client.on('end', () => say({ kind: 'end', id }));
  client.on('error', () => client.destroy());
  client.on('close', () => {
    channels.delete(id);
    say({ kind: 'end', id });
  });
}
