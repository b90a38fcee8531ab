import { RbdsrError } from '../../base/error.ts';
import { corrupt, hex } from './corrupt.ts';

/**
 * One field of an on-disk structure, at byte `at` of `bytes`. An error calls it `where`, at byte `diskAt` of the disk.
 */
export interface Field<T> {
  readonly size: number;
  read(bytes: Buffer, at: number, where: string, diskAt: number): T;
  write(bytes: Buffer, at: number, value: T): void;
}

type Fields = Readonly<Record<string, Field<unknown>>>;
/** The value a layout decodes to. */
export type Decoded<L> = L extends Layout<infer F> ? RecordOf<F> : never;
type RecordOf<F> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/** A structure declared field by field in file order. `encode` is the exact inverse of `decode`. */
export interface Layout<F> {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Byte of the field within the structure. */
  offsetOf(field: keyof F): number;
  /** `diskAt`: the byte of the disk where `bytes` begin, for messages. Throws 'vhd-corrupt'. */
  decode(bytes: Uint8Array, diskAt: number): RecordOf<F>;
  encode(value: RecordOf<F>): Buffer;
}

/** Throws 'internal' when the fields do not add up to `size`: a layout with a hole must not load. */
export function defineLayout<F extends Fields>(name: string, size: number, fields: F): Layout<F> {
  const places = new Map<keyof F, number>();
  let at = 0;
  for (const [key, field] of Object.entries(fields)) {
    places.set(key, at);
    at += field.size;
  }
  if (at !== size) {
    throw new RbdsrError('internal', { what: `layout of the ${name}`, expected: `${size} bytes`, found: `${at}` });
  }
  return {
    name,
    size,
    offsetOf: (field) => places.get(field) ?? 0,
    decode(bytes, diskAt) {
      if (bytes.length < size) throw corrupt(name, diskAt, `${size} bytes`, `${bytes.length} bytes`);
      const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const record = Object.entries(fields).map(([key, field]) => {
        const place = places.get(key) ?? 0;
        return [key, field.read(view, place, `${name}.${key}`, diskAt + place)] as const;
      });
      return Object.freeze(Object.fromEntries(record)) as RecordOf<F>;
    },
    encode(value) {
      const bytes = Buffer.alloc(size);
      for (const [key, field] of Object.entries(fields)) field.write(bytes, places.get(key) ?? 0, value[key]);
      return bytes;
    },
  };
}

export const u8: Field<number> = {
  size: 1,
  read: (bytes, at) => bytes.readUInt8(at),
  write: (bytes, at, value) => void bytes.writeUInt8(value, at),
};

export const u32: Field<number> = {
  size: 4,
  read: (bytes, at) => bytes.readUInt32BE(at),
  write: (bytes, at, value) => void bytes.writeUInt32BE(value, at),
};

/** A byte count or byte offset: 64 bits on disk, a plain number here. */
export const bytes64: Field<number> = {
  size: 8,
  read(bytes, at, where, diskAt) {
    const value = bytes.readBigUInt64BE(at);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw corrupt(where, diskAt, 'less than 2^53', hex(value, 16));
    return Number(value);
  },
  write: (bytes, at, value) => void bytes.writeBigUInt64BE(BigInt(value), at),
};

/** 64 bits that may be all ones ("unused"). */
export const raw64: Field<bigint> = {
  size: 8,
  read: (bytes, at) => bytes.readBigUInt64BE(at),
  write: (bytes, at, value) => void bytes.writeBigUInt64BE(value, at),
};

/** Exactly `size` characters, one byte each. */
export function latin(size: number): Field<string> {
  return {
    size,
    read: (bytes, at) => bytes.toString('latin1', at, at + size),
    write: (bytes, at, value) => void bytes.write(value, at, size, 'latin1'),
  };
}

/** Bytes kept as they are. */
export function raw(size: number): Field<Buffer> {
  return {
    size,
    read: (bytes, at) => Buffer.from(bytes.subarray(at, at + size)),
    write: (bytes, at, value) => bytes.set(value, at),
  };
}

export const uuid: Field<string> = {
  size: 16,
  read(bytes, at) {
    const text = bytes.toString('hex', at, at + 16);
    return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-');
  },
  write: (bytes, at, value) => void bytes.write(value.replaceAll('-', ''), at, 16, 'hex'),
};

/** `count` structures one after another. */
export function table<F>(layout: Layout<F>, count: number): Field<readonly RecordOf<F>[]> {
  return {
    size: layout.size * count,
    read(bytes, at, _where, diskAt) {
      const entry = (i: number): RecordOf<F> =>
        layout.decode(bytes.subarray(at + i * layout.size), diskAt + i * layout.size);
      return Object.freeze(Array.from({ length: count }, (_unused, i) => entry(i)));
    },
    write(bytes, at, value) {
      for (const [i, record] of value.entries()) layout.encode(record).copy(bytes, at + i * layout.size);
    },
  };
}
