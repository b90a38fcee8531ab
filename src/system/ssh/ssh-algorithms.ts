import type { Algorithms } from 'ssh2';

/**
 * What is offered to a server, best first: enough for OpenSSH 5.0 of 2008 (group exchange with SHA-256, aes-ctr,
 * hmac-sha1, ssh-rsa) up to today's. Nothing with a known break: no group1 or other SHA-1 key exchange but group14's,
 * no CBC, no RC4, no MD5, no DSA, and no compression. `types` are the key types known of this server; they are asked
 * for first, or a server with several keys may show one that is not known.
 */
export function offeredAlgorithms(types: readonly string[]): Algorithms {
  const expected = HOST_KEYS.filter((name) => types.includes(TYPE_OF[name] ?? name));
  return {
    kex: [...KEX],
    serverHostKey: [...expected, ...HOST_KEYS.filter((name) => !expected.includes(name))],
    cipher: [...CIPHERS],
    hmac: [...MACS],
    compress: ['none'],
  };
}

const KEX = [
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'ecdh-sha2-nistp521',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group18-sha512',
  'diffie-hellman-group14-sha256',
  'diffie-hellman-group-exchange-sha256',
  'diffie-hellman-group14-sha1',
] as const;

const HOST_KEYS = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
  'ssh-rsa',
] as const;

/** Signature algorithms whose key type has another name (RFC 8332). */
const TYPE_OF: Readonly<Record<string, string>> = { 'rsa-sha2-512': 'ssh-rsa', 'rsa-sha2-256': 'ssh-rsa' };

const CIPHERS = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
  'chacha20-poly1305@openssh.com',
] as const;

const MACS = [
  'hmac-sha2-256-etm@openssh.com',
  'hmac-sha2-512-etm@openssh.com',
  'hmac-sha2-256',
  'hmac-sha2-512',
  'hmac-sha1',
] as const;
