import { RbdsrError } from '../../base/error.ts';
import { fingerprintOf, sameKey } from './ssh-host-key.ts';
import type { HostKey } from './ssh-host-key.ts';
import { formatTarget, knownHostLine, knownHostName, knownKeysOf } from './ssh-known-hosts.ts';
import type { KnownKey, SshTarget } from './ssh-known-hosts.ts';

/** Which keys a server may show. */
export interface HostKeyPolicy {
  /** The contents of the administrator's known_hosts file; '' when there is none. */
  readonly knownHosts: string;
  /** What messages call that file. */
  readonly knownHostsPath: string;
  /** Lines of SeenHostKey.line that were kept at an earlier visit. */
  readonly pinned?: string;
  /**
   * "SHA256:...": a key that a person has compared by hand. It counts where the administrator's file does not list the
   * host.
   */
  readonly compared?: string;
  /**
   * A host that neither of them lists: accepted (and reported) while somebody is looking for a cluster, refused
   * otherwise.
   */
  readonly unlisted: 'accept' | 'refuse';
}

/** The key that a server showed and proved, and why it was accepted. */
export interface SeenHostKey {
  /** "SHA256:...", as `ssh-keygen -l` prints it. */
  readonly fingerprint: string;
  /** "ssh-ed25519". */
  readonly type: string;
  /** `new`: listed nowhere. */
  readonly trust: 'known' | 'pinned' | 'new';
  /** What to pin: one line in the format of known_hosts. */
  readonly line: string;
}

/**
 * The verdict on a key. The administrator's file decides where it lists the host, else what was pinned, else
 * `unlisted`. A key that differs from the ones that are listed, or is revoked, is 'ssh-host-key' and never accepted.
 */
export function judgeHostKey(policy: HostKeyPolicy, target: SshTarget, key: HostKey): SeenHostKey {
  const { entries, trust } = governing(policy, target);
  const all = [...knownKeysOf(policy.knownHosts, target), ...knownKeysOf(policy.pinned ?? '', target)];
  if (all.some((entry) => entry.revoked && sameKey(entry.key, key))) throw revoked(policy, target, key);
  if (trust !== 'known' && policy.compared === fingerprintOf(key)) {
    return { fingerprint: fingerprintOf(key), type: key.type, trust: 'pinned', line: knownHostLine(target, key) };
  }
  if (trust === 'new') {
    if (policy.unlisted === 'refuse') throw unlisted(policy, target, key);
  } else if (!entries.some((entry) => sameKey(entry.key, key))) {
    throw changed(policy, target, key, entries, trust);
  }
  return { fingerprint: fingerprintOf(key), type: key.type, trust, line: knownHostLine(target, key) };
}

/** The types of the keys that will be compared: a server with several shows the one that is asked for. */
export function expectedTypes(policy: HostKeyPolicy, target: SshTarget): readonly string[] {
  return [...new Set(governing(policy, target).entries.map(({ key }) => key.type))];
}

function governing(
  policy: HostKeyPolicy,
  target: SshTarget,
): { readonly entries: readonly KnownKey[]; readonly trust: SeenHostKey['trust'] } {
  const known = knownKeysOf(policy.knownHosts, target).filter((entry) => !entry.revoked);
  if (known.length > 0) return { entries: known, trust: 'known' };
  const pinned = knownKeysOf(policy.pinned ?? '', target).filter((entry) => !entry.revoked);
  return pinned.length > 0 ? { entries: pinned, trust: 'pinned' } : { entries: [], trust: 'new' };
}

function changed(
  policy: HostKeyPolicy,
  target: SshTarget,
  key: HostKey,
  entries: readonly KnownKey[],
  trust: 'known' | 'pinned',
): RbdsrError {
  const where =
    trust === 'known'
      ? `${policy.knownHostsPath} line ${entries.map(({ line }) => line).join(', ')}`
      : 'kept from an earlier connection';
  const expected = entries.map((entry) => `${entry.key.type} ${fingerprintOf(entry.key)}`).join(' or ');
  return new RbdsrError('ssh-host-key', {
    what: `the SSH host key of ${formatTarget(target)} is not the one that is known, and no password was sent`,
    expected: `${expected} (${where})`,
    found: `${key.type} ${fingerprintOf(key)}`,
    todo: `Either the host was installed anew or something else answers at its address. ${compare(key)} If they agree, ${
      trust === 'known'
        ? `\`ssh-keygen -R '${knownHostName(target)}' -f ${policy.knownHostsPath}\` forgets the old key`
        : 'list the new key'
    } and this line in ${policy.knownHostsPath} accepts the new one: ${knownHostLine(target, key)}`,
    facts: { host: formatTarget(target), fingerprint: fingerprintOf(key) },
  });
}

function revoked(policy: HostKeyPolicy, target: SshTarget, key: HostKey): RbdsrError {
  return new RbdsrError('ssh-host-key', {
    what: `the SSH host key of ${formatTarget(target)} is marked @revoked in ${policy.knownHostsPath}, and no password was sent`,
    found: `${key.type} ${fingerprintOf(key)}`,
    todo: 'Give the host a new key, or name another monitor.',
    facts: { host: formatTarget(target), fingerprint: fingerprintOf(key) },
  });
}

function unlisted(policy: HostKeyPolicy, target: SshTarget, key: HostKey): RbdsrError {
  return new RbdsrError('ssh-host-key', {
    what: `the SSH host key of ${formatTarget(target)} is not known here, and no password was sent`,
    expected: `a line for it in ${policy.knownHostsPath}, or a key pinned when the SR was created`,
    found: `${key.type} ${fingerprintOf(key)}`,
    todo: `${compare(key)} If they agree, add this line to ${policy.knownHostsPath}: ${knownHostLine(target, key)}`,
    facts: { host: formatTarget(target), fingerprint: fingerprintOf(key) },
  });
}

function compare(key: HostKey): string {
  const file = key.type.startsWith('ecdsa') ? 'ecdsa' : key.type.replace('ssh-', '');
  return `Compare with \`ssh-keygen -lf /etc/ssh/ssh_host_${file}_key.pub\` on the monitor's own console.`;
}
