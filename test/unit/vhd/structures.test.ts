import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeBat, encodeBat } from '../../../src/vhd/format/bat.ts';
import {
  batmapChecksum,
  decodeBatmapHeader,
  encodeBatmapHeader,
  usedMapBytes,
} from '../../../src/vhd/format/batmap.ts';
import { countOnes, runEnd, setBits, testBit } from '../../../src/vhd/format/bits.ts';
import { packedGeometry } from '../../../src/vhd/format/geometry.ts';
import { decodeFooter, encodeFooter, newFooter } from '../../../src/vhd/format/footer.ts';
import { decodeHeader, encodeHeader, newHeader, parentNameText } from '../../../src/vhd/format/header.ts';
import { bytes64, defineLayout, latin, u32 } from '../../../src/vhd/format/layout.ts';
import { decodeLocatorText, encodeLocatorText, MACX, W2KU, W2RU } from '../../../src/vhd/format/locator.ts';
import { batBytes, batmapHeaderOffset } from '../../../src/vhd/format/places.ts';
import { soundNames, VectorFiles } from './vectors.ts';

let files: VectorFiles;
beforeAll(() => {
  files = new VectorFiles();
});
afterAll(() => files[Symbol.dispose]());

const UUID = '00112233-4455-6677-8899-aabbccddeeff';
const footer = newFooter({ uuid: UUID, timestamp: 7, virtualSizeBytes: 10 << 20, diskType: 3 });

describe('every structure of the reference images', () => {
  it.each(soundNames)('of %s is encoded to the bytes it was decoded from', (name) => {
    const bytes = files.bytes(name);
    const same = (at: number, encoded: Buffer): void => {
      expect(encoded.equals(bytes.subarray(at, at + encoded.length)), `at byte ${at}`).toBe(true);
    };
    const end = decodeFooter(bytes.subarray(-512), bytes.length - 512);
    same(bytes.length - 512, encodeFooter(end));
    same(0, encodeFooter(end));
    const header = decodeHeader(bytes.subarray(512), 512);
    same(512, encodeHeader(header));
    same(1536, encodeBat(decodeBat(bytes.subarray(1536, 1536 + batBytes(header)))));
    const at = batmapHeaderOffset(header);
    const batmap = decodeBatmapHeader(bytes.subarray(at), at);
    same(at, encodeBatmapHeader(batmap));
    const map = bytes.subarray(batmap.mapOffset, batmap.mapOffset + usedMapBytes(end.currentSize));
    expect(batmapChecksum(batmap, end.currentSize, map)).toBe(batmap.mapChecksum);
    for (const { code, offset, length } of header.locators) {
      if (code !== MACX && code !== W2KU && code !== W2RU) continue;
      const path = decodeLocatorText(code, bytes.subarray(offset, offset + length)) ?? '';
      expect(path).toBe(`./${parentNameText(header)}`);
      same(offset, encodeLocatorText(code, path));
    }
  });
});

describe('structures', () => {
  it('a footer comes back from any contents of its fields, reserved bytes included', () => {
    const sizes = fc.integer({ min: 0, max: 2 ** 40 }).map((sectors) => sectors * 512);
    const fields = fc.record({
      features: fc.nat(),
      timestamp: fc.nat(),
      creatorApp: fc.constantFrom('tap\0', 'vpc ', 'win '),
      originalSize: sizes.map(BigInt),
      currentSize: sizes,
      hidden: fc.integer({ min: 0, max: 255 }),
      uuid: fc.uuid(),
      reserved: fc.uint8Array({ minLength: 426, maxLength: 426 }).map((bytes) => Buffer.from(bytes)),
    });
    fc.assert(
      fc.property(fields, (some) => {
        const value = { ...footer, ...some };
        expect(decodeFooter(encodeFooter(value), 0)).toEqual(value);
      }),
    );
  });

  it('a header comes back from any contents of its fields, reserved bytes included', () => {
    const raw = (size: number): fc.Arbitrary<Buffer> =>
      fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => Buffer.from(bytes));
    const locator = fc.record({
      code: fc.nat(),
      space: fc.nat(),
      length: fc.nat(),
      reserved: fc.nat(),
      offset: fc.nat(),
    });
    const fields = fc.record({
      maxBatEntries: fc.nat(),
      parentUuid: fc.uuid(),
      parentTimestamp: fc.nat(),
      reserved1: raw(4),
      parentName: raw(512),
      locators: fc.array(locator, { minLength: 8, maxLength: 8 }),
      reserved2: raw(256),
    });
    fc.assert(
      fc.property(fields, (some) => {
        const value = { ...newHeader(1), ...some };
        expect(decodeHeader(encodeHeader(value), 512)).toEqual(value);
      }),
    );
  });

  it('a BAT comes back', () => {
    const entries = fc.uint32Array({ maxLength: 300 });
    fc.assert(
      fc.property(entries, (some) => {
        expect([...decodeBat(encodeBat(some))]).toEqual([...some]);
      }),
    );
  });

  it.each([
    [0, 'footer.cookie', 0],
    [0x0c, 'footer.checksum', 0x40],
    [0x40, 'footer.checksum', 0x40],
  ])('a footer with a wrong byte %i is refused, naming %s and its place on the disk', (byte, field, offset) => {
    const bytes = encodeFooter(footer);
    bytes[byte] = (bytes[byte] ?? 0) ^ 0x55;
    expect(() => decodeFooter(bytes, 4096)).toThrow(
      expect.objectContaining({
        code: 'vhd-corrupt',
        message: expect.stringMatching(/expected .*; found /u),
        detail: expect.objectContaining({ facts: { field, offset: 4096 + offset } }),
      }),
    );
  });

  it('a size that no number holds is refused', () => {
    const layout = defineLayout('sample', 12, { tag: u32, size: bytes64 });
    expect(() => layout.decode(Buffer.alloc(12, 0xff), 100)).toThrow(
      expect.objectContaining({ detail: expect.objectContaining({ facts: { field: 'sample.size', offset: 104 } }) }),
    );
    expect(() => layout.decode(Buffer.alloc(11), 100)).toThrow(expect.objectContaining({ code: 'vhd-corrupt' }));
  });

  it('a layout with a hole does not load', () => {
    expect(() => defineLayout('sample', 9, { cookie: latin(8) })).toThrow(
      expect.objectContaining({ code: 'internal' }),
    );
  });

  it('an unknown platform or a text that is none gives no path', () => {
    expect(decodeLocatorText(0x4d616320, Buffer.from('x'))).toBeUndefined();
    expect(decodeLocatorText(MACX, Buffer.from('http://x'))).toBeUndefined();
    expect(decodeLocatorText(W2KU, Buffer.from('x'))).toBeUndefined();
  });

  it.each([
    [10 * 2 ** 20, 0x012d0411],
    [2 ** 30, ((2080 << 16) | (16 << 8) | 63) >>> 0],
    [2 ** 41, ((65535 << 16) | (16 << 8) | 255) >>> 0],
  ])('the geometry of %i bytes is the reference one', (bytes, packed) => {
    expect(packedGeometry(bytes)).toBe(packed);
  });

  it('bits agree with a plain array of booleans', () => {
    const range = fc.tuple(fc.nat(255), fc.nat(255)).map(([a, b]) => [Math.min(a, b), Math.abs(a - b) + 1] as const);
    fc.assert(
      fc.property(fc.array(range, { maxLength: 8 }), fc.nat(255), (ranges, from) => {
        const bits = Buffer.alloc(32);
        const model = Array.from({ length: 256 }, () => false);
        for (const [start, count] of ranges) {
          const before = model.filter(Boolean).length;
          model.fill(true, start, start + count);
          expect(setBits(bits, start, Math.min(count, 256 - start))).toBe(model.filter(Boolean).length - before);
        }
        expect(model.map((_unused, i) => testBit(bits, i))).toEqual(model);
        expect(countOnes(bits)).toBe(model.filter(Boolean).length);
        const other = model.findIndex((value, i) => i > from && value !== model[from]);
        expect(runEnd(bits, from, 256)).toBe(other < 0 ? 256 : other);
      }),
    );
  });
});
