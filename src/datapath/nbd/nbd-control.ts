import { connect, createServer, type Socket } from 'node:net';
import type { Deadline } from '../../base/deadline.ts';
import { type ErrorCode, messageOf, RbdsrError } from '../../base/error.ts';
import { removeIfExists } from '../../system/files.ts';
import type { Disk } from '../datapath.ts';
import { listenForRoot } from './nbd-socket.ts';

/** What a server is told while it serves; a line of JSON, as is its answer. */
export type NbdOrder =
  | { readonly verb: 'pause' }
  | { readonly verb: 'resume'; readonly disk: Omit<Disk, 'memoryPool'> };

type Answer = { readonly ok: true } | { readonly ok: false; readonly code: ErrorCode; readonly what: string };

export interface NbdControl {
  close(): void;
}

/** Longer than any path. */
const MAX_ORDER_BYTES = 64 * 1024;

/** Takes orders on a socket that only root can reach, one after the other. */
export async function startNbdControl(path: string, carryOut: (order: NbdOrder) => Promise<void>): Promise<NbdControl> {
  let last: Promise<unknown> = Promise.resolve();
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    firstLine(socket).then(
      (line) => {
        last = last.then(async () => socket.end(`${JSON.stringify(await answerTo(line, carryOut))}\n`));
      },
      () => socket.destroy(),
    );
  });
  await listenForRoot(server, path);
  server.unref();
  return {
    close() {
      server.close();
      removeIfExists(path);
    },
  };
}

/** 'tapdisk-failed' where the server does not answer, else what it says. */
export async function tellServer(path: string, order: NbdOrder, deadline: Deadline): Promise<void> {
  const socket = connect(path);
  try {
    socket.write(`${JSON.stringify(order)}\n`);
    const line = await deadline.race(firstLine(socket), `the NBD server at ${path} to ${order.verb}`);
    const answer = JSON.parse(line) as Answer;
    if (!answer.ok) throw new RbdsrError(answer.code, { what: answer.what });
  } finally {
    socket.destroy();
  }
}

async function answerTo(line: string, carryOut: (order: NbdOrder) => Promise<void>): Promise<Answer> {
  try {
    await carryOut(JSON.parse(line) as NbdOrder);
    return { ok: true };
  } catch (error) {
    const code = error instanceof RbdsrError ? error.code : 'tapdisk-failed';
    return { ok: false, code, what: messageOf(error) };
  }
}

function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const fail = (why: string): void =>
      reject(new RbdsrError('tapdisk-failed', { what: `the NBD server's control socket ${why}` }));
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length > MAX_ORDER_BYTES) fail('sends a line without an end');
    });
    socket.once('end', () => fail('was closed without an answer'));
    socket.once('error', ({ message }) => fail(`failed: ${message}`));
  });
}
