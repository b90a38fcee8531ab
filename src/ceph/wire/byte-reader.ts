import { RbdsrError } from '../../base/error.ts';

/**
 * What a Ceph daemon sent, read from the front: little endian, and nothing behind the end. Every length and count is
 * held against what is there, so that no number of a peer's can ask for more memory or time than its message had bytes.
 * Throws 'control-plane-failed', which names the field.
 */
export class ByteReader {
  readonly #bytes: Buffer;
  /** For messages: "the reply to `osd map`". */
  readonly #what: string;
  #at = 0;

  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(field: string): number {
    return this.#take(1, field).readUInt8();
  }

  u16(field: string): number {
    return this.#take(2, field).readUInt16LE();
  }

  u32(field: string): number {
    return this.#take(4, field).readUInt32LE();
  }

  s32(field: string): number {
    return this.#take(4, field).readInt32LE();
  }

  u64(field: string): bigint {
    return this.#take(8, field).readBigUInt64LE();
  }

  s64(field: string): bigint {
    return this.#take(8, field).readBigInt64LE();
  }

  /** A u64 that is a size, a number or an identifier: below 2^53. */
  number(field: string): number {
    const value = this.u64(field);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.garbled(field, 'a number below 2^53', String(value));
    return Number(value);
  }

  bytes(length: number, field: string): Buffer {
    return this.#take(length, field);
  }

  skip(length: number, field: string): void {
    this.#take(length, field);
  }

  /** u32 length, bytes. */
  blob(field: string): Buffer {
    return this.#take(this.u32(field), field);
  }

  /** The same as UTF-8. */
  text(field: string): string {
    return this.blob(field).toString('utf8');
  }

  rest(): Buffer {
    return this.#take(this.left, 'the rest');
  }

  /** u32 count, entries of at least so many bytes each. */
  list<T>(field: string, leastBytes: number, read: (index: number) => T): T[] {
    const count = this.u32(field);
    if (count * leastBytes > this.left) {
      throw this.garbled(field, `at most ${Math.floor(this.left / leastBytes)} entries`, String(count));
    }
    return Array.from({ length: count }, (_, index) => read(index));
  }

  /** u8 version, u8 the oldest reader's, u32 length (ceph `src/include/encoding.h`, ENCODE_START). */
  versioned(field: string): { readonly version: number; readonly body: ByteReader } {
    const version = this.u8(`${field}: version`);
    this.skip(1, `${field}: compatible version`);
    return { version, body: new ByteReader(this.blob(field), this.#what) };
  }

  garbled(field: string, expected: string, found: string): RbdsrError {
    return new RbdsrError('control-plane-failed', {
      what: `${this.#what} is not understood: ${field}`,
      expected,
      found,
      facts: { field, errno: 'EBADMSG' },
    });
  }

  #take(length: number, field: string): Buffer {
    if (length > this.left) throw this.garbled(field, `${length} bytes`, `${this.left}`);
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }
}
