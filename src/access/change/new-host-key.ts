import type { Deadline } from '../../base/deadline.ts';
import { hasCode } from '../../base/error.ts';
import type { MonitorHost } from '../../ceph/control/ssh/monitor-host.ts';
import { keepHostKey } from '../change-kept.ts';
import { hostKeyOf, fingerprintOf } from '../../system/ssh/ssh-host-key.ts';
import type { Xapi } from '../../xapi/client.ts';
import { factsOfSameCluster } from '../monitor-login.ts';
import { KEPT } from '../kept-keys.ts';
import type { PoolSr } from '../pool-sr.ts';

/** What a monitor's host key was compared with, as `ssh-keygen -l` prints them. */
export interface HostKeyVerdict {
  /** 'refused': it differs, and no password was sent. 'kept': it is what the SR keeps now. */
  readonly state: 'same' | 'refused' | 'kept';
  readonly before?: string;
  readonly shown: string;
}

/**
 * Replaces the SSH host key that the SR keeps by the one that the monitor shows, once the operator has compared it:
 * `openHost` lets it in by its fingerprint, or refuses it without sending a password. The host has to be one of the
 * SR's cluster.
 */
export async function replaceHostKey(
  xapi: Xapi,
  poolSr: PoolSr,
  openHost: () => Promise<MonitorHost>,
  deadline: Deadline,
): Promise<HostKeyVerdict> {
  const line = poolSr.kept?.hostKey;
  const before = line === undefined ? {} : { before: fingerprintOfLine(line) };
  let host: MonitorHost;
  try {
    host = await openHost();
  } catch (error) {
    const shown = hasCode(error, 'ssh-host-key') ? error.detail.facts?.['fingerprint'] : undefined;
    if (typeof shown !== 'string') throw error;
    return { state: 'refused', ...before, shown };
  }
  await using _open = host;
  const { hostKey } = host.connection;
  // A change that was cut short has it under the next key only, and is finished.
  const isHalfDone = poolSr.sr.smConfig[KEPT.nextHostKey] !== undefined;
  if (hostKey.line === line && !isHalfDone) return { state: 'same', ...before, shown: hostKey.fingerprint };
  await factsOfSameCluster(host, poolSr, deadline);
  await keepHostKey(xapi, poolSr.sr.ref, hostKey.line);
  return { state: 'kept', ...before, shown: hostKey.fingerprint };
}

function fingerprintOfLine(line: string): string {
  const key = hostKeyOf(Buffer.from(line.split(' ').at(-1) ?? '', 'base64'));
  return key === undefined ? 'a key that cannot be read' : fingerprintOf(key);
}
