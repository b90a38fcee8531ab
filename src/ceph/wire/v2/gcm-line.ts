import { createCipheriv, createDecipheriv } from 'node:crypto';
import { RbdsrError } from '../../../base/error.ts';
import { frameChanged } from './framing.ts';

/** Key of both directions, and the first nonce of each. */
export interface ConnectionSecret {
  readonly key: Buffer;
  readonly toClient: Buffer;
  readonly toServer: Buffer;
}

export const TAG_BYTES = 16;

/** What the daemon has made for this connection (ceph `src/msg/async/crypto_onwire.cc`). It may have bytes to spare. */
export function splitConnectionSecret(secret: Buffer): ConnectionSecret {
  if (secret.length < KEY_BYTES + 2 * NONCE_BYTES) {
    throw frameChanged('connection secret', `${KEY_BYTES + 2 * NONCE_BYTES} bytes`, String(secret.length));
  }
  return {
    key: secret.subarray(0, KEY_BYTES),
    toClient: secret.subarray(KEY_BYTES, KEY_BYTES + NONCE_BYTES),
    toServer: secret.subarray(KEY_BYTES + NONCE_BYTES, KEY_BYTES + 2 * NONCE_BYTES),
  };
}

/**
 * One direction of a connection in mode secure: AES-128-GCM without additional data, the tag behind the text. The nonce
 * is a fixed u32 and a u64 that counts, both little endian, and is never used twice.
 */
export class GcmLine {
  readonly #key: Buffer;
  readonly #fixed: Buffer;
  readonly #first: bigint;
  #counter: bigint;
  #isUsed = false;

  constructor(key: Buffer, nonce: Buffer) {
    this.#key = key;
    this.#fixed = nonce.subarray(0, 4);
    this.#first = nonce.readBigUInt64LE(4);
    this.#counter = this.#first;
  }

  seal(plain: Buffer): Buffer {
    const cipher = createCipheriv('aes-128-gcm', this.#key, this.#nextNonce());
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  /** 'control-plane-failed' for what the other end has not sealed, or not as the next. */
  open(sealed: Buffer): Buffer {
    const decipher = createDecipheriv('aes-128-gcm', this.#key, this.#nextNonce(), { authTagLength: TAG_BYTES });
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    const plain = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES));
    try {
      decipher.final();
    } catch {
      throw frameChanged('seal', 'the tag that its key makes', 'another one');
    }
    return plain;
  }

  #nextNonce(): Buffer {
    if (this.#isUsed && this.#counter === this.#first) {
      throw new RbdsrError('internal', { what: 'the nonces of a connection in mode secure are used up' });
    }
    this.#isUsed = true;
    const nonce = Buffer.alloc(NONCE_BYTES);
    this.#fixed.copy(nonce);
    nonce.writeBigUInt64LE(this.#counter, 4);
    this.#counter = BigInt.asUintN(64, this.#counter + 1n);
    return nonce;
  }
}

const KEY_BYTES = 16;
const NONCE_BYTES = 12;
