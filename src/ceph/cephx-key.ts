import { RbdsrError } from '../base/error.ts';
import { Secret } from '../base/secret.ts';

/**
 * The shape of a cephx key: base64 of type (u16, 1 is AES), creation time (2 x u32), length (u16) and that many bytes, little-endian
 * (ceph `src/auth/Crypto.cc`, CryptoKey::encode). Returns it without surrounding white space; the error never quotes it.
 */
export function checkKey(key: Secret, what: string): Secret {
  const text = key.reveal().trim();
  const raw =
    /^[A-Za-z0-9+/]+={0,2}$/.test(text) && text.length % 4 === 0 ? Buffer.from(text, 'base64') : Buffer.alloc(0);
  if (raw.length < KEY_HEADER || raw.readUInt16LE(10) !== raw.length - KEY_HEADER) {
    throw new RbdsrError('invalid-secret', {
      what: `${what} is not a cephx key`,
      expected: 'base64 as `ceph auth get-key` prints it, 40 characters that end in ==',
      found: `${text.length} characters of another shape`,
    });
  }
  return new Secret(text);
}

const KEY_HEADER = 12;
