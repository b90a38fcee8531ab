import { beforeAll, describe, expect, it } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { encodeFooter, type Footer } from '../../../src/vhd/format/footer.ts';
import { encodeHeader, newHeader } from '../../../src/vhd/format/header.ts';
import { VhdImage } from '../../../src/vhd/image/image.ts';
import { RecordedIo } from './recorded-io.ts';

const UUID = '22222222-2222-2222-2222-222222222222';
const BAT = 1536;
const BATMAP = 2048;

/** A child with block 0 full, block 1 partly written and the others absent. */
let sound: Buffer;
let image: VhdImage;
beforeAll(async () => {
  const io = new RecordedIo(9 * MiB);
  await createChild(
    io,
    { virtualSizeBytes: 8 * MiB, uuid: UUID, timestamp: 0 },
    { name: 'p', uuid: UUID, modified: 0 },
  );
  image = await VhdImage.open(io, 'write');
  await image.write(0, Buffer.alloc(2 * MiB + 512, 1));
  await image.close();
  sound = io.bytes;
});

type Damage = (bytes: Buffer) => void;

function withHeader(change: (header: VhdImage['header']) => VhdImage['header']): Damage {
  return (bytes) => void encodeHeader(change(image.header)).copy(bytes, 512);
}

function withLocator(slot: number, change: object): Damage {
  return withHeader((header) => ({
    ...header,
    locators: header.locators.map((locator, i) => (i === slot ? { ...locator, ...change } : locator)),
  }));
}

const damages: readonly (readonly [string, string, Damage])[] = [
  ['differing footers', 'footers-differ', (bytes) => void encodeFooter({ ...image.footer, hidden: 1 }).copy(bytes, 0)],
  ['a header in nowhere', 'header', footers({ dataOffset: BigInt(2 ** 40) })],
  ['a virtual size beyond the BAT', 'header', footers({ currentSize: 10 * MiB })],
  ['a BAT behind the end', 'header', withHeader((header) => ({ ...header, tableOffset: 9 * MiB }))],
  ['a BAT over the header', 'metadata-overlap', withHeader((header) => ({ ...header, tableOffset: 1024 }))],
  ['a locator over the BAT', 'metadata-overlap', withLocator(0, { offset: BAT })],
  ['a locator longer than its place', 'locator', withLocator(1, { length: 600 })],
  ['no locator', 'locator', withHeader((header) => ({ ...header, locators: header.locators.map(none) }))],
  ['a block over the header', 'block-in-metadata', (bytes) => void bytes.writeUInt32BE(1, BAT + 12)],
  ['a block behind the end', 'block-beyond-end', (bytes) => void bytes.writeUInt32BE(16_000, BAT + 12)],
  ['two blocks at one place', 'block-overlap', (bytes) => void bytes.copy(bytes, BAT + 12, BAT + 4, BAT + 8)],
  ['a batmap that is none', 'batmap-header', (bytes) => void bytes.write('xxx', BATMAP)],
  ['a batmap outside', 'batmap-header', (bytes) => void bytes.writeBigUInt64BE(BigInt(2 ** 40), BATMAP + 8)],
  ['a batmap that was changed', 'batmap-checksum', (bytes) => void bytes.writeUInt8(0xc0, BATMAP + 512)],
  ['a batmap with an absent block', 'batmap-unallocated', batmap(0x90)],
  ['a batmap with a torn block', 'batmap-not-full', batmap(0xc0)],
];

function footers(change: Partial<Footer>): Damage {
  return (bytes) => {
    const footer = encodeFooter({ ...image.footer, ...change });
    footer.copy(bytes, 0);
    footer.copy(bytes, bytes.length - 512);
  };
}

function none<T extends { readonly code: number }>(locator: T): T {
  return { ...locator, code: 0, space: 0, length: 0, offset: 0 };
}

/** The map's first byte, with the right checksum. */
function batmap(map: number): Damage {
  return (bytes) => {
    bytes.writeUInt8(map, BATMAP + 512);
    bytes.writeUInt32BE(~map >>> 0, BATMAP + 0x18);
  };
}

describe('the checker', () => {
  it('finds nothing in a sound image', async () => {
    expect(await checkVhd(new RecordedIo(Buffer.from(sound)))).toEqual([]);
  });

  it.each(damages)('finds %s: %s', async (_what, code, damage) => {
    const io = new RecordedIo(Buffer.from(sound));
    damage(io.bytes);
    const findings = await checkVhd(io);
    expect(findings).toContainEqual(expect.objectContaining({ severity: 'error', code }));
    expect(findings.every(({ message }) => message.length > 20)).toBe(true);
    expect(io.log).toEqual([]);
  });

  it('warns of locators on a disk without a parent; that its header names one is an error, as for vhd-util', async () => {
    const io = new RecordedIo(Buffer.from(sound));
    footers({ diskType: 3 })(io.bytes);
    expect((await checkVhd(io)).map(({ severity, code }) => [severity, code])).toEqual([
      ['error', 'header-field'],
      ['warning', 'locator'],
    ]);
  });

  it('says of noise how much more there is', async () => {
    const io = new RecordedIo(260 * MiB);
    await createChild(io, { virtualSizeBytes: 256 * MiB, uuid: UUID, timestamp: 0 }, { name: 'p', modified: 0 });
    io.bytes.fill(0, BAT, BAT + 4 * 128);
    const findings = await checkVhd(io);
    expect(findings.filter(({ code }) => code === 'block-in-metadata')).toHaveLength(21);
    expect(findings.at(-2)?.message).toBe('and 108 more of this kind');
  });

  it('counts four million blocks at one place without making something for each', async () => {
    const blocks = 2 ** 22;
    const end = encodeFooter({ ...image.footer, currentSize: blocks * 512 * 1024, diskType: 3, creatorApp: 'win ' });
    const header = encodeHeader({ ...newHeader(blocks), blockSize: 512 * 1024 });
    const size = BAT + 4 * blocks + 512;
    const pieces = [end, header].map((bytes, i) => ({ at: i * 512, bytes })).concat({ at: size - 512, bytes: end });
    const none = async (): Promise<void> => {};
    const read = async (offset: number, length: number): Promise<Buffer> => {
      const piece = pieces.find(({ at }) => at === offset);
      return piece === undefined ? Buffer.alloc(length) : piece.bytes.subarray(0, length);
    };
    const before = process.resourceUsage().maxRSS;
    const findings = await checkVhd({ name: 'hostile', size, read, write: none, flush: none, close: none });
    expect(findings.map(({ message }) => message)).toContain(`and ${blocks - 1 - 20} more of this kind`);
    expect(findings.length).toBeLessThan(70);
    expect(process.resourceUsage().maxRSS - before).toBeLessThan(256 * 1024);
  });

  it.each([0, 511, 2047])('survives a device of %i bytes', async (size) => {
    expect((await checkVhd(new RecordedIo(size))).map(({ code }) => code)).toEqual(['too-small']);
  });
});
