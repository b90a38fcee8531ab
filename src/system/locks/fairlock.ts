import { createConnection } from 'node:net';
import { nowMs } from '../../base/now.ts';
import type { Socket } from 'node:net';
import { basename } from 'node:path';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import type { HeldLock } from './record-lock.ts';
import { runProgram } from '../run.ts';

/**
 * Takes the lock of XCP-ng's fairlock service, which serves waiters in the order they came (sm `fairlock.py`,
 * `fairlock.c`): connect, wait for `LOCK\0`, say who we are, close to release. A service that is not running is
 * started. 'lock-busy' at the deadline; 'internal' when this process holds or awaits the lock already, for that would
 * wait for itself.
 */
export async function takeFairlock(socketPath: string, deadline: Deadline): Promise<HeldLock> {
  if (taken.has(socketPath)) {
    throw new RbdsrError('internal', { what: `this process takes the lock ${socketPath} twice` });
  }
  taken.add(socketPath);
  try {
    const socket = await lockedSocket(socketPath, deadline);
    return heldLock(socketPath, socket);
  } catch (error) {
    taken.delete(socketPath);
    throw error;
  }
}

const taken = new Set<string>();

async function lockedSocket(socketPath: string, deadline: Deadline): Promise<Socket> {
  const started = nowMs();
  let asked = false;
  for (;;) {
    const outcome = await askForLock(socketPath, deadline);
    if (typeof outcome === 'object') return outcome;
    if (deadline.leftMs <= RETRY_MS) throw busy(socketPath, outcome, nowMs() - started);
    if (!asked) await startService(socketPath, deadline);
    asked = true;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

const RETRY_MS = 50;

/**
 * The socket once it holds the lock, or the reason there is none: an errno, `closed` by a service that restarts, or
 * `late`.
 */
function askForLock(socketPath: string, deadline: Deadline): Promise<Socket | string> {
  return new Promise((resolve) => {
    const socket = createConnection(socketPath);
    const timer = setTimeout(() => settle('late'), deadline.leftMs);
    let received = 0;
    const settle = (outcome: Socket | string): void => {
      clearTimeout(timer);
      if (outcome !== socket) socket.destroy();
      resolve(outcome);
    };
    socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? 'error'));
    socket.on('close', () => settle('closed'));
    socket.on('data', (chunk) => {
      if (received >= GRANTED.length) return;
      received += chunk.length;
      if (received < GRANTED.length) return;
      socket.write(`${process.pid} - ${nowMs() / 1000}`);
      settle(socket);
    });
  });
}

const GRANTED = 'LOCK\0';

/** `/run/fairlock/devicemapper` is served by fairlock@devicemapper.service. */
async function startService(socketPath: string, deadline: Deadline): Promise<void> {
  const unit = `fairlock@${basename(socketPath)}.service`;
  await runProgram('systemctl', ['start', unit], { deadline: deadline.within(10_000) });
}

function heldLock(path: string, socket: Socket): HeldLock {
  let held = true;
  const release = async (): Promise<void> => {
    if (!held) return;
    held = false;
    taken.delete(path);
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    if (!socket.closed) {
      socket.destroy();
      await closed;
    }
  };
  return { path, release, [Symbol.asyncDispose]: release };
}

function busy(path: string, reason: string, waitedMs: number): RbdsrError {
  const seconds = (waitedMs / 1000).toFixed(1);
  return new RbdsrError('lock-busy', {
    what: `the lock ${path} was not granted in ${seconds} s`,
    found: reason === 'late' ? 'other waiters before us' : `no answer from the fairlock service (${reason})`,
    facts: { path, reason },
  });
}
