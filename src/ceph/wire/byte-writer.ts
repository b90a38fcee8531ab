/** What is sent to a Ceph daemon, field after field, little endian. */
export class ByteWriter {
  readonly #parts: Buffer[] = [];

  u8(value: number): this {
    return this.raw(Buffer.from([value]));
  }

  u16(value: number): this {
    const part = Buffer.alloc(2);
    part.writeUInt16LE(value);
    return this.raw(part);
  }

  u32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeUInt32LE(value);
    return this.raw(part);
  }

  u64(value: number | bigint): this {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
    return this.raw(part);
  }

  raw(bytes: Uint8Array): this {
    this.#parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    return this;
  }

  /** u32 length, bytes. */
  blob(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  text(value: string): this {
    return this.blob(Buffer.from(value, 'utf8'));
  }

  /** u8 version, u8 the oldest reader's, u32 length (ceph `src/include/encoding.h`, ENCODE_START). */
  versioned(version: number, compatible: number, body: Uint8Array): this {
    return this.u8(version).u8(compatible).blob(body);
  }

  done(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
