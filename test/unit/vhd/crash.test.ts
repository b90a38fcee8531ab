import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MiB, SECTOR } from '../../../src/base/units.ts';
import { openChain, type VhdChain } from '../../../src/vhd/chain/chain.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { RecordedIo, type Recorded } from './recorded-io.ts';

const SIZE = 8 * MiB;
const UUID = '22222222-2222-2222-2222-222222222222';
/** What the device held before it became a VHD: a sector that shows this was made visible before it was written. */
const GARBAGE = 0xdd;
const BELOW = 0x11;

const write = fc.record({
  sector: fc.integer({ min: 0, max: SIZE / SECTOR - 1 }),
  sectors: fc.oneof(fc.integer({ min: 1, max: 24 }), fc.constantFrom(4096, 5000)),
});
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('write' as const), write }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
);

/** For each sector the values a reader may find: the last durable one, and any written since. */
class Allowed {
  #values: readonly (readonly number[])[] = Array.from({ length: SIZE / SECTOR }, () => [BELOW]);

  written(sector: number, sectors: number, value: number): void {
    this.#values = this.#values.map((values, at) =>
      at >= sector && at < sector + sectors ? [...values, value] : values,
    );
  }

  flushed(): void {
    this.#values = this.#values.map((values) => (values.length === 1 ? values : values.slice(-1)));
  }

  now(): readonly (readonly number[])[] {
    return this.#values;
  }
}

/** What a reader may find after a cut of the log behind so many entries, until the next moment. */
interface Moment {
  readonly log: number;
  readonly allowed: readonly (readonly number[])[];
}

const raw = new RecordedIo(Buffer.alloc(SIZE, BELOW));
const open = (io: RecordedIo): Promise<VhdChain> => openChain(io, 'write', async () => ({ raw }));

async function newDisk(): Promise<RecordedIo> {
  const io = new RecordedIo(Buffer.alloc(SIZE + MiB, GARBAGE));
  await createChild(io, { virtualSizeBytes: SIZE, uuid: UUID, timestamp: 0 }, { name: 'raw', modified: 0 });
  io.log.splice(0);
  return io;
}

/** The disk after a cut: all writes before the last flush, and of the later ones those that `survives` picks. */
function cut(start: Buffer, log: readonly Recorded[], survives: () => boolean): RecordedIo {
  const io = new RecordedIo(Buffer.from(start));
  const durable = log.lastIndexOf('flush');
  for (const [i, entry] of log.entries()) {
    if (entry !== 'flush' && (i < durable || survives())) io.bytes.set(entry.data, entry.offset);
  }
  return io;
}

/** A sector for each value. */
const FULL_OF = Array.from({ length: 256 }, (_, value) => Buffer.alloc(SECTOR, value));

async function expectSound(io: RecordedIo, allowed: Moment['allowed']): Promise<void> {
  expect(await checkVhd(io, { endFooterOptional: true })).toEqual([]);
  const chain = await open(io);
  const content = await chain.read(0, SIZE);
  for (const [sector, values] of allowed.entries()) {
    const at = sector * SECTOR;
    const found = content[at] ?? -1;
    if (!values.includes(found) || FULL_OF[found]?.compare(content, at, at + SECTOR) !== 0) {
      expect.fail(`sector ${sector} shows ${found}, may show ${[...new Set(values)].join(', ')}`);
    }
  }
}

// Whole histories, cut at each of their writes: slow on a machine that is busy otherwise.
describe('a cut at any moment', { timeout: 120_000 }, () => {
  it('leaves a sound image in which every flushed write is readable', async () => {
    const steps = fc.array(step, { minLength: 1, maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(steps, fc.boolean(), fc.infiniteStream(fc.boolean()), async (todo, kill, coin) => {
        const io = await newDisk();
        const start = Buffer.from(io.bytes);
        const allowed = new Allowed();
        const moments: Moment[] = [];
        const remember = (): void => void moments.push({ log: io.log.length, allowed: allowed.now() });
        remember();
        let chain = await open(io);
        if (kill) await chain.leaf.killEndFooter();
        let value = 0x20;
        for (const now of todo) {
          if (now.kind === 'write') {
            const { sector } = now.write;
            const sectors = Math.min(now.write.sectors, SIZE / SECTOR - sector);
            value += 1;
            allowed.written(sector, sectors, value);
            remember();
            await chain.write(sector * SECTOR, Buffer.alloc(sectors * SECTOR, value));
          } else {
            await (now.kind === 'flush' ? chain.flush() : chain.close());
            allowed.flushed();
            remember();
            if (now.kind === 'reopen') chain = await open(io);
          }
        }
        const all = io.log.length;
        for (const length of new Set([0, 1, 2, 3, 4, 5, 6].map((part) => Math.round((all * part) / 6)))) {
          const may = moments.findLast((moment) => moment.log <= length)?.allowed ?? [];
          const log = io.log.slice(0, length);
          await expectSound(
            cut(start, log, () => coin.next().value),
            may,
          );
          await expectSound(
            cut(start, log, () => true),
            may,
          );
        }
      }),
      { numRuns: 20, endOnFailure: true },
    );
  });

  it('during a flush that fails loses nothing once a later one succeeds', async () => {
    const failing = fc.tuple(fc.constantFrom('write', 'flush'), fc.nat(6));
    await fc.assert(
      fc.asyncProperty(fc.array(write, { minLength: 1, maxLength: 6 }), failing, async (writes, [what, skip]) => {
        const io = await newDisk();
        const start = Buffer.from(io.bytes);
        const allowed = new Allowed();
        const chain = await open(io);
        for (const [i, { sector, sectors }] of writes.entries()) {
          const count = Math.min(sectors, SIZE / SECTOR - sector);
          await chain.write(sector * SECTOR, Buffer.alloc(count * SECTOR, 0x20 + i));
          allowed.written(sector, count, 0x20 + i);
        }
        let left = skip;
        io.fails = (request) => request === what && left-- === 0;
        const failed = await chain.flush().then(
          () => false,
          () => true,
        );
        expect(failed).toBe(left < 0);
        await expectSound(
          cut(start, io.log, () => true),
          allowed.now(),
        );
        io.fails = () => false;
        await chain.flush();
        allowed.flushed();
        await expectSound(
          cut(start, io.log, () => false),
          allowed.now(),
        );
      }),
      { numRuns: 30, endOnFailure: true },
    );
  });
});
