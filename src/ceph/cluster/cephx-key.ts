import { RbdsrError } from '../../base/error.ts';
import { Secret } from '../../base/secret.ts';

/**
 * `aes256k` since Ceph 19.2.6, 20.2.4 and 21.2 (CVE-2025-30156); a kernel's client has it, or has not
 * (kernel-traits.ts).
 */
export type KeyType = 'aes' | 'aes256k';

/**
 * Number and length of the secret, bytes (ceph `src/auth/Crypto.cc`; `doc/rados/configuration/auth-config-ref.rst`,
 * cephx-upgrade).
 */
const TYPES: readonly { readonly name: KeyType; readonly number: number; readonly bytes: number }[] = [
  { name: 'aes', number: 1, bytes: 16 },
  { name: 'aes256k', number: 2, bytes: 32 },
];

/**
 * The shape of a cephx key: base64 of type (u16), creation time (2 x u32), length (u16) and that many bytes,
 * little-endian (ceph `src/auth/Crypto.cc`, CryptoKey::encode). A secret longer than its type's is refused, too: half
 * of it would count. Returns the key without surrounding white space; the error never quotes it.
 */
export function checkKey(key: Secret, what: string): Secret {
  const text = key.reveal().trim();
  const raw = decoded(text);
  if (raw.length < KEY_HEADER || raw.readUInt16LE(10) !== raw.length - KEY_HEADER) {
    throw notAKey(what, {
      expected: 'base64 as `ceph auth get-key` prints it, 40 characters that end in == (type aes)',
      found: `${text.length} characters of another shape`,
    });
  }
  const number = raw.readUInt16LE(0);
  const type = TYPES.find((known) => known.number === number);
  if (type === undefined) {
    throw notAKey(what, {
      expected: `a key of type ${TYPES.map((known) => `${known.name} (${known.number})`).join(' or ')}`,
      found: `type ${number}`,
    });
  }
  if (raw.length - KEY_HEADER !== type.bytes) {
    throw notAKey(what, {
      expected: `a secret of ${type.bytes} bytes, as type ${type.name} has`,
      found: `${raw.length - KEY_HEADER} bytes`,
    });
  }
  return new Secret(text);
}

/** Of a key that has passed checkKey. */
export function keyTypeOf(key: Secret): KeyType {
  const number = decoded(key.reveal()).readUInt16LE(0);
  return TYPES.find((known) => known.number === number)?.name ?? 'aes';
}

/** The key of nobody: to see what a program or the kernel makes of this type. */
export function sampleKey(type: KeyType): Secret {
  const { number, bytes } = TYPES.find(({ name }) => name === type) ?? { number: 1, bytes: 16 };
  const raw = Buffer.alloc(KEY_HEADER + bytes, 0x5a);
  raw.writeUInt16LE(number, 0);
  raw.writeUInt16LE(bytes, 10);
  return new Secret(raw.toString('base64'));
}

const KEY_HEADER = 12;

function decoded(text: string): Buffer {
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(text) && text.length % 4 === 0;
  return isBase64 ? Buffer.from(text, 'base64') : Buffer.alloc(0);
}

function notAKey(what: string, detail: { readonly expected: string; readonly found: string }): RbdsrError {
  return new RbdsrError('invalid-secret', { what: `${what} is not a cephx key`, ...detail });
}
