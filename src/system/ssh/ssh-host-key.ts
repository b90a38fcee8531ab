import { createHash } from 'node:crypto';

/** A server's public key as the protocol carries it: a type, then the parts of that type (RFC 4253, 6.6). */
export interface HostKey {
  /** "ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa". */
  readonly type: string;
  readonly blob: Buffer;
}

/** Undefined for bytes that do not start with the name of a type. */
export function hostKeyOf(blob: Buffer): HostKey | undefined {
  if (blob.length < 4) return undefined;
  const end = 4 + blob.readUInt32BE(0);
  const type = blob.toString('latin1', 4, Math.min(end, blob.length));
  return end <= blob.length && /^[a-z0-9@.-]+$/.test(type) ? { type, blob } : undefined;
}

/** As `ssh-keygen -l` prints it: SHA256:, base64 without padding. */
export function fingerprintOf(key: HostKey): string {
  return `SHA256:${createHash('sha256').update(key.blob).digest('base64').replace(/=+$/, '')}`;
}

export function sameKey(a: HostKey, b: HostKey): boolean {
  return a.blob.equals(b.blob);
}
