import type { Deadline } from '../../base/deadline.ts';
import { hasCode } from '../../base/error.ts';
import type { RbdsrError } from '../../base/error.ts';
import type { Log } from '../../base/log.ts';
import type { Secret } from '../../base/secret.ts';
import type { RunOutcome } from '../run.ts';
import { connectTcp } from './ssh-connect.ts';
import { execOn } from './ssh-exec.ts';
import type { SshExecOptions } from './ssh-exec.ts';
import { loginRefused, noTargetAnswers } from './ssh-failures.ts';
import type { HostKeyPolicy, SeenHostKey } from './ssh-host-key-policy.ts';
import { formatTarget } from './ssh-known-hosts.ts';
import type { SshTarget } from './ssh-known-hosts.ts';
import { LoginSequence, readLoginKeys } from './ssh-login.ts';
import type { LoginKeys } from './ssh-login.ts';
import { openSession } from './ssh-session.ts';
import type { SshSession } from './ssh-session.ts';

export interface SshOptions {
  /** In this order; the first one that speaks SSH serves, whatever it says then. */
  readonly targets: readonly SshTarget[];
  readonly user: string;
  readonly password?: Secret;
  /**
   * Private keys without passphrase; those that are there are tried before the password. Default: the host's own in
   * /etc/rbdsr.
   */
  readonly privateKeys?: readonly string[];
  readonly hostKeys: HostKeyPolicy;
  readonly deadline: Deadline;
  readonly log: Log;
}

export interface SshConnection extends AsyncDisposable {
  readonly target: SshTarget;
  readonly user: string;
  readonly hostKey: SeenHostKey;
  readonly login: 'publickey' | 'password' | 'keyboard-interactive' | 'none';
  /**
   * Runs one program without a terminal. Never throws for how it ends; 'ssh-protocol' when the connection does. At the
   * deadline the outcome is 'timeout' and the program is left to itself.
   */
  exec(argv: readonly string[], options: SshExecOptions): Promise<RunOutcome>;
  close(): Promise<void>;
}

/**
 * A connection on which programs can be run. 'dns' | 'monitor-unreachable' | 'ssh-protocol' | 'ssh-host-key' |
 * 'ssh-login' | 'deadline'. The password goes only to a server whose host key was accepted, and the second connection
 * that a server may ask for after its limit of login failures only to the very same key.
 */
export async function connectSsh(o: SshOptions): Promise<SshConnection> {
  const failures: RbdsrError[] = [];
  const { utils } = await import('./_ssh2.ts');
  const keys = readLoginKeys(o.privateKeys ?? LOGIN_KEYS, (text) => utils.parseKey(text));
  for (const [index, target] of o.targets.entries()) {
    const share = o.deadline.within(o.deadline.leftMs / (o.targets.length - index));
    try {
      return await connectTo(target, o, keys, share);
    } catch (error) {
      if (!hasCode(error, 'dns', 'monitor-unreachable', 'ssh-protocol', 'deadline')) throw error;
      failures.push(error);
    }
  }
  throw noTargetAnswers(o.targets, failures);
}

/** The private keys that are looked for on a host of the pool, in the order in which they are tried. */
export const LOGIN_KEYS = ['/etc/rbdsr/id_ed25519', '/etc/rbdsr/id_ecdsa', '/etc/rbdsr/id_rsa'] as const;

async function connectTo(target: SshTarget, o: SshOptions, keys: LoginKeys, share: Deadline): Promise<SshConnection> {
  const byKey = new LoginSequence(o.user, keys.usable, o.password);
  const first = await openSession(await connectTcp(target, share), target, o, byKey, share);
  const { hostKey } = first;
  if (hostKey.trust === 'new') {
    const key = `${hostKey.type} ${hostKey.fingerprint}`;
    o.log.info(`accepted the SSH host key of ${formatTarget(target)}, seen for the first time: ${key}`);
  }
  if (first.outcome === 'ready') return connectionOn(first, target, o.user, byKey);
  await first.close();
  let { outcome } = first;
  let { offered } = byKey;
  if (outcome === 'too-many-failures' && !byKey.passwordSent && o.password !== undefined) {
    const sameKey: HostKeyPolicy = { ...o.hostKeys, knownHosts: '', pinned: hostKey.line, unlisted: 'refuse' };
    const byPassword = new LoginSequence(o.user, [], o.password);
    const socket = await connectTcp(target, o.deadline);
    const second = await openSession(socket, target, { ...o, hostKeys: sameKey }, byPassword, o.deadline);
    if (second.outcome === 'ready') return connectionOn({ ...second, hostKey }, target, o.user, byPassword);
    await second.close();
    byKey.tried.push(...byPassword.tried);
    ({ outcome } = second);
    ({ offered } = byPassword);
  }
  throw loginRefused(target, o, outcome, { tried: byKey.tried, offered, unusable: keys.unusable });
}

function connectionOn(session: SshSession, target: SshTarget, user: string, sequence: LoginSequence): SshConnection {
  return {
    target,
    user,
    hostKey: session.hostKey,
    login: sequence.method ?? 'none',
    exec: (argv, options) => execOn(session, target, argv, options),
    close: session.close,
    [Symbol.asyncDispose]: session.close,
  };
}
