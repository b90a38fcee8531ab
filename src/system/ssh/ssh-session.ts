import type { Socket } from 'node:net';
import { nowMs } from '../../base/now.ts';
import { setTimeout as pause } from 'node:timers/promises';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import type { Client } from './_ssh2.ts';
import { offeredAlgorithms } from './ssh-algorithms.ts';
import { connectionFailed } from './ssh-failures.ts';
import { hostKeyOf } from './ssh-host-key.ts';
import { expectedTypes, judgeHostKey } from './ssh-host-key-policy.ts';
import type { HostKeyPolicy, SeenHostKey } from './ssh-host-key-policy.ts';
import type { SshTarget } from './ssh-known-hosts.ts';
import type { LoginOutcome, LoginSequence } from './ssh-login.ts';

export interface SshSession {
  readonly client: Client;
  readonly hostKey: SeenHostKey;
  readonly outcome: LoginOutcome;
  /** Why the connection ended, once it has. */
  ended(): Error | undefined;
  readonly close: () => Promise<void>;
}

export interface SessionOptions {
  readonly user: string;
  readonly hostKeys: HostKeyPolicy;
  readonly deadline: Deadline;
}

/**
 * Key exchange, the verdict on the host key, and the login. 'ssh-protocol' for what is no SSH server or has no
 * algorithm in common, 'ssh-host-key', 'deadline'. `share` bounds the time until the host key has been judged: a frozen
 * sshd accepts connections and says nothing.
 */
export async function openSession(
  socket: Socket,
  target: SshTarget,
  o: SessionOptions,
  login: LoginSequence,
  share: Deadline,
): Promise<SshSession> {
  const { Client: SshClient } = await import('./_ssh2.ts');
  return new Promise((resolve, reject) => {
    const client = new SshClient();
    let hostKey: SeenHostKey | undefined;
    let judged: RbdsrError | undefined;
    let ended: Error | undefined;
    const close = async (): Promise<void> => {
      if (!socket.destroyed) {
        const gone = new Promise((resolveGone) => socket.once('close', resolveGone));
        client.end();
        await Promise.race([gone, pause(GOODBYE_MS, undefined, { ref: false })]);
      }
      socket.destroy();
    };
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      act();
    };
    const fail = (error: RbdsrError): void =>
      settle(() => {
        socket.destroy();
        reject(error);
      });
    const end = (outcome: LoginOutcome): void => {
      const seen = hostKey;
      if (seen !== undefined) settle(() => resolve({ client, hostKey: seen, outcome, ended: () => ended, close }));
    };
    const late = (): void => fail(share.exceeded(`the SSH server at ${target.host}`, started));
    const started = nowMs();
    let timer = setTimeout(late, share.leftMs);

    client.on('ready', () => end('ready'));
    client.on('change password', () => end('password-expired'));
    client.on('error', (error: Error & { level?: string; code?: unknown }) => {
      ended ??= error;
      if (judged !== undefined) fail(judged);
      else if (hostKey === undefined) fail(connectionFailed(target, error));
      else if (error.level === 'client-authentication') end('refused');
      // sshd ends the connection after MaxAuthTries failures, some with a reason and some without.
      else if (login.tried.length > 0) end('too-many-failures');
      else fail(connectionFailed(target, error));
    });
    client.on('close', () => {
      ended ??= new Error('the server closed the connection');
      if (judged !== undefined) fail(judged);
      else if (hostKey === undefined) fail(connectionFailed(target, ended));
      else if (login.tried.length > 0) end('too-many-failures');
      else fail(connectionFailed(target, ended));
    });
    client.connect({
      sock: socket,
      username: o.user,
      // Our own timer: it starts anew once the server has proven to be alive.
      readyTimeout: 0,
      algorithms: offeredAlgorithms(expectedTypes(o.hostKeys, target)),
      hostVerifier: (blob: Buffer): boolean => {
        try {
          const key = hostKeyOf(blob);
          if (key === undefined) throw connectionFailed(target, new Error('its host key cannot be read'));
          hostKey = judgeHostKey(o.hostKeys, target, key);
        } catch (error) {
          judged = error instanceof RbdsrError ? error : connectionFailed(target, error as Error);
          return false;
        }
        clearTimeout(timer);
        timer = setTimeout(() => fail(o.deadline.exceeded(`the login at ${target.host}`, started)), o.deadline.leftMs);
        return true;
      },
      authHandler: (left, partial, next) => {
        const method = login.next(left, partial);
        // ssh2 takes `false` for "nothing left to try"; its types do not say so.
        next(method as Exclude<typeof method, false>);
      },
    });
  });
}

/** What a server may take to close the connection that we end. */
const GOODBYE_MS = 500;
