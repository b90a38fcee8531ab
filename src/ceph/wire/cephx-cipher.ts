import { createCipheriv, createDecipheriv } from 'node:crypto';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';

/**
 * How cephx encrypts with a key of type 1: AES-128-CBC with one fixed first vector, and a mark before the payload by
 * which a wrong key shows (ceph `src/auth/Crypto.cc`, `src/auth/cephx/CephxProtocol.h`). No length before it.
 */
export function encrypt(secret: Buffer, payload: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-128-cbc', secret, FIRST_VECTOR);
  return Buffer.concat([cipher.update(new ByteWriter().u8(1).u64(MARK).raw(payload).done()), cipher.final()]);
}

/** Undefined where it was encrypted with another key, or is not encrypted at all. */
export function decrypt(secret: Buffer, bytes: Buffer, what: string): ByteReader | undefined {
  if (bytes.length === 0 || bytes.length % 16 !== 0) return undefined;
  const decipher = createDecipheriv('aes-128-cbc', secret, FIRST_VECTOR);
  let plain: Buffer;
  try {
    plain = Buffer.concat([decipher.update(bytes), decipher.final()]);
  } catch {
    // The padding is wrong.
    return undefined;
  }
  if (plain.length < 9 || plain.readBigUInt64LE(1) !== MARK) return undefined;
  return new ByteReader(plain.subarray(9), what);
}

const FIRST_VECTOR = Buffer.from('cephsageyudagreg');
const MARK = 0xff009cad8826aa55n;
