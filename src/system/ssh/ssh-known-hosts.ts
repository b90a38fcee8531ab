import { createHmac } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { hostKeyOf } from './ssh-host-key.ts';
import type { HostKey } from './ssh-host-key.ts';

export interface SshTarget {
  /** An address or a name, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** One line of a known_hosts file that counts for a host. */
export interface KnownKey {
  readonly key: HostKey;
  /** Marked @revoked: this key must never be accepted. */
  readonly revoked: boolean;
  /** From 1. */
  readonly line: number;
}

/**
 * The keys that a known_hosts text has for `target` (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): names with wildcards and
 * negation, hashed names, `[host]:port`, several types, @revoked. Lines of certificate authorities do not count, and
 * neither does what cannot be read.
 */
export function knownKeysOf(text: string, target: SshTarget): readonly KnownKey[] {
  const name = knownHostName(target);
  return text.split('\n').flatMap((raw, index) => {
    const words = raw.trim().split(/[ \t]+/);
    const marker = words[0]?.startsWith('@') === true ? words.shift() : undefined;
    const [patterns = '', type, base64 = ''] = words;
    if (patterns === '' || patterns.startsWith('#') || marker === '@cert-authority') return [];
    if (marker !== undefined && marker !== '@revoked') return [];
    const key = hostKeyOf(Buffer.from(base64, 'base64'));
    if (key === undefined || key.type !== type || !matches(patterns, name)) return [];
    return [{ key, revoked: marker === '@revoked', line: index + 1 }];
  });
}

/** A line for known_hosts that `knownKeysOf` finds again. */
export function knownHostLine(target: SshTarget, key: HostKey): string {
  return `${knownHostName(target)} ${key.type} ${key.blob.toString('base64')}`;
}

/** `host`, or `[host]:port` where the port is not 22: the name OpenSSH looks for. */
export function knownHostName({ host, port }: SshTarget): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/** `10.0.0.1:22`, `[fd00::1]:22`: for messages. */
export function formatTarget({ host, port }: SshTarget): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

function matches(patterns: string, name: string): boolean {
  if (patterns.startsWith('|')) return matchesHash(patterns, name);
  let found = false;
  for (const pattern of patterns.toLowerCase().split(',')) {
    const negated = pattern.startsWith('!');
    if (!wildcard(negated ? pattern.slice(1) : pattern).test(name)) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

/** `|1|salt|hash`: HMAC-SHA1 of the name, keyed with the salt. */
function matchesHash(hashed: string, name: string): boolean {
  const [, version, salt = '', hash = ''] = hashed.split('|');
  if (version !== '1' || salt === '') return false;
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest().equals(Buffer.from(hash, 'base64'));
}

function wildcard(pattern: string): RegExp {
  const source = pattern.replaceAll(/[^*?]/g, (character) => character.replace(/[\\^$.|+()[\]{}]/, String.raw`\$&`));
  return new RegExp(`^${source.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's');
}
