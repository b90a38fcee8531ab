import type { ClientChannel } from 'ssh2';
import { nowMs } from '../../base/now.ts';
import type { Deadline } from '../../base/deadline.ts';
import { KiB, MiB } from '../../base/units.ts';
import { Collected } from '../run.ts';
import type { RunEnd, RunOutcome } from '../run.ts';
import { connectionLost } from './ssh-failures.ts';
import type { SshTarget } from './ssh-known-hosts.ts';
import { quoteArgv } from './ssh-quote.ts';
import type { SshSession } from './ssh-session.ts';

export interface SshExecOptions {
  readonly deadline: Deadline;
  readonly stdin?: string | Uint8Array;
}

/** Runs `argv` on an exec channel without a terminal; stdout above 16 MiB ends it as SIGPIPE would. */
export function execOn(
  session: SshSession,
  target: SshTarget,
  argv: readonly string[],
  options: SshExecOptions,
): Promise<RunOutcome> {
  const [program = '', ...args] = argv;
  const started = nowMs();
  return new Promise((resolve, reject) => {
    const stdout = new Collected(STDOUT_LIMIT, 'head');
    const stderr = new Collected(STDERR_LIMIT, 'tail');
    let channel: ClientChannel | undefined;
    let end: RunEnd | undefined;
    const finish = (how: RunEnd): void => {
      clearTimeout(timer);
      session.client.off('close', lost);
      const durationMs = nowMs() - started;
      resolve({ program, args, end: how, stdout: stdout.text(), stderr: stderr.text(), durationMs });
    };
    const lost = (): void => {
      if (end !== undefined) return finish(end);
      clearTimeout(timer);
      reject(connectionLost(target, session.ended()));
    };
    const timer = setTimeout(() => {
      end ??= { kind: 'timeout' };
      channel?.close();
      finish(end);
    }, options.deadline.leftMs);

    session.client.on('close', lost);
    if (session.ended() !== undefined) return lost();
    session.client.exec(quoteArgv(argv), { pty: false }, (error, opened) => {
      if (error !== undefined) {
        clearTimeout(timer);
        session.client.off('close', lost);
        reject(connectionLost(target, error));
        return;
      }
      channel = opened;
      // A program need not read what it is given.
      opened.on('error', () => {});
      opened.on('data', (chunk: Buffer) => {
        stdout.add(chunk);
        if (!stdout.overflowed) return;
        end ??= { kind: 'signal', signal: 'SIGPIPE' };
        opened.close();
      });
      opened.stderr.on('data', (chunk: Buffer) => stderr.add(chunk));
      opened.on('exit', (code: number | null, signal?: string) => {
        end ??=
          code === null ? { kind: 'signal', signal: (signal ?? 'SIGTERM') as NodeJS.Signals } : { kind: 'exit', code };
      });
      opened.on('close', () => (end === undefined ? lost() : finish(end)));
      opened.end(options.stdin ?? '');
    });
  });
}

const STDOUT_LIMIT = 16 * MiB;
const STDERR_LIMIT = 16 * KiB;
