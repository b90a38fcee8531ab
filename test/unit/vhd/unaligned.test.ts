import { expect, it } from 'vitest';
import { SECTOR } from '../../../src/base/units.ts';
import { UnalignedWriter } from '../../../src/vhd/chain/unaligned.ts';

/** Sectors in memory whose every access ends when the test says so. */
class SlowSectors {
  readonly bytes = Buffer.alloc(4 * SECTOR);
  readonly #reads: (() => void)[] = [];
  readonly #writes: (() => void)[] = [];

  async read(offset: number, length: number): Promise<Buffer> {
    await new Promise<void>((resolve) => this.#reads.push(resolve));
    return Buffer.from(this.bytes.subarray(offset, offset + length));
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => this.#writes.push(resolve));
    this.bytes.set(data, offset);
  }

  /** Lets accesses end one by one until there is none any more: reads as soon as they can, or as late. */
  async drain(reads: 'early' | 'late'): Promise<void> {
    for (let idle = 0; idle < 5; ) {
      await new Promise((resolve) => setImmediate(resolve));
      const [first, second] = reads === 'early' ? [this.#reads, this.#writes] : [this.#writes, this.#reads];
      const next = first.shift() ?? second.shift();
      if (next === undefined) idle += 1;
      else next();
    }
  }
}

it.each(['early', 'late'] as const)(
  'a whole sector that is written beside a part of it is not lost, whoever comes first (reads end %s)',
  async (reads) => {
    for (const wholeFirst of [true, false]) {
      const sectors = new SlowSectors();
      const writer = new UnalignedWriter(sectors);
      const whole = (): Promise<void> => writer.write(SECTOR, Buffer.alloc(SECTOR, 7));
      const part = (): Promise<void> => writer.write(SECTOR + 10, Buffer.alloc(20, 9));
      const both = wholeFirst ? [whole(), part()] : [part(), whole()];
      await sectors.drain(reads);
      await Promise.all(both);
      const sector = sectors.bytes.subarray(SECTOR, 2 * SECTOR);
      expect([sector[0], sector[9], sector[30], sector[511]]).toEqual([7, 7, 7, 7]);
      expect([7, 9]).toContain(sector[15]);
    }
  },
);

it('two parts of one sector are both there, and sectors beside them are written meanwhile', async () => {
  const sectors = new SlowSectors();
  const writer = new UnalignedWriter(sectors);
  const parts = [writer.write(0, Buffer.alloc(10, 1)), writer.write(20, Buffer.alloc(10, 2))];
  const beside = writer.write(2 * SECTOR, Buffer.alloc(SECTOR, 3));
  await sectors.drain('early');
  await Promise.all([...parts, beside]);
  expect([sectors.bytes[0], sectors.bytes[25], sectors.bytes[2 * SECTOR]]).toEqual([1, 2, 3]);
});

it('a write that fails keeps nobody from the sector', async () => {
  let fail = true;
  const writer = new UnalignedWriter({
    read: async (_offset, length) => Buffer.alloc(length),
    write: async () => {
      if (fail) throw new Error('broken');
    },
  });
  await expect(writer.write(1, Buffer.alloc(1))).rejects.toThrow('broken');
  fail = false;
  await writer.write(1, Buffer.alloc(1));
  await writer.write(0, Buffer.alloc(SECTOR));
});
