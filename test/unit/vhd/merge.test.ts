import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MiB, SECTOR } from '../../../src/base/units.ts';
import { openChain } from '../../../src/vhd/chain/chain.ts';
import { mergeIntoParent } from '../../../src/vhd/chain/merge.ts';
import type { RawParent } from '../../../src/vhd/chain/open-parents.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { ABSENT } from '../../../src/vhd/image/extents.ts';
import { VhdImage } from '../../../src/vhd/image/image.ts';
import { pairOfSeed, sumOf } from './merge-pairs.ts';
import { RecordedIo } from './recorded-io.ts';

const SIZE = 6 * MiB;
const SECTORS = SIZE / SECTOR;
const ID = { base: '11111111-1111-1111-1111-111111111111', child: '22222222-2222-2222-2222-222222222222' };
const below = Buffer.alloc(SIZE, 'what lies below ');

type Kind = 'a base' | 'a differencing parent' | 'a raw parent';
const KINDS: readonly Kind[] = ['a base', 'a differencing parent', 'a raw parent'];

interface Pair {
  readonly kind: Kind;
  readonly parentIo: RecordedIo;
  readonly childIo: RecordedIo;
  /** What the child shows. */
  readonly content: Buffer;
  /** Which sectors each has, 1 for one that is there; a raw disk has all. */
  readonly parentHas: Uint8Array;
  readonly childHas: Uint8Array;
}

/** Runs of sectors: [first, how many], at times so many small ones that a block is in pieces, at times whole blocks. */
const runs = fc.oneof(
  fc.array(fc.tuple(fc.nat(SECTORS - 1), fc.integer({ min: 1, max: 3000 })), { maxLength: 6 }),
  fc.tuple(fc.nat(SECTORS - 200), fc.integer({ min: 2, max: 9 })).map(([at, by]) => scattered(at, by)),
  fc.subarray([0, 1, 2]).map((blocks) => blocks.map((block) => [block * 4096, 4096] as const)),
);
type Runs = readonly (readonly [number, number])[];

function scattered(at: number, by: number): Runs {
  return Array.from({ length: Math.floor(200 / by) }, (_, i) => [at + i * by, 1] as const);
}

async function fill(
  image: VhdImage | RecordedIo,
  all: Runs,
  seed: number,
  content: Buffer,
  has: Uint8Array,
): Promise<void> {
  for (const [index, [first, count]] of all.entries()) {
    const sectors = Math.min(count, SECTORS - first);
    const data = Buffer.alloc(sectors * SECTOR, seed + index);
    await image.write(first * SECTOR, data);
    data.copy(content, first * SECTOR);
    has.fill(1, first, first + sectors);
  }
}

async function pairOf(kind: Kind, ofParent: Runs, ofChild: Runs): Promise<Pair> {
  const parentIo = new RecordedIo(kind === 'a raw parent' ? SIZE : SIZE + MiB, 'parent');
  const childIo = new RecordedIo(SIZE + MiB, 'child');
  const content = kind === 'a differencing parent' ? Buffer.from(below) : Buffer.alloc(SIZE);
  const parentHas = new Uint8Array(SECTORS).fill(kind === 'a raw parent' ? 1 : 0);
  const childHas = new Uint8Array(SECTORS);
  const made = { virtualSizeBytes: SIZE, timestamp: 0 };
  if (kind === 'a raw parent') await fill(parentIo, ofParent, 1, content, parentHas);
  else {
    if (kind === 'a base') await createVhd(parentIo, { ...made, uuid: ID.base });
    else await createChild(parentIo, { ...made, uuid: ID.base }, { name: 'below', modified: 0 });
    const image = await VhdImage.open(parentIo, 'write');
    await fill(image, ofParent, 1, content, parentHas);
    await image.close();
  }
  const parent = { name: 'parent', modified: 0, ...(kind === 'a raw parent' ? {} : { uuid: ID.base }) };
  await createChild(childIo, { ...made, uuid: ID.child }, parent);
  const child = await VhdImage.open(childIo, 'write');
  await fill(child, ofChild, 100, content, childHas);
  await child.close();
  parentIo.log.length = 0;
  childIo.log.length = 0;
  return { kind, parentIo, childIo, content, parentHas, childHas };
}

async function openParent({ kind, parentIo }: Pair): Promise<VhdImage | RawParent> {
  return kind === 'a raw parent' ? { io: parentIo, virtualSizeBytes: parentIo.size } : VhdImage.open(parentIo, 'write');
}

async function merge(pair: Pair, o: Parameters<typeof mergeIntoParent>[2] = {}): Promise<boolean> {
  const parent = await openParent(pair);
  const whole = await mergeIntoParent(await VhdImage.open(pair.childIo, 'read'), parent, o);
  if (parent instanceof VhdImage && whole) await parent.close();
  return whole;
}

/** What a guest sees of the child, or of the parent alone. */
async function shown({ kind, childIo }: Pair, parentIo: RecordedIo, from: 'child' | 'parent'): Promise<Buffer> {
  const ancestors =
    kind === 'a raw parent' ? [{ raw: parentIo }] : [parentIo, { raw: new RecordedIo(Buffer.from(below)) }];
  if (from === 'parent') {
    if (kind === 'a raw parent') return parentIo.bytes;
    return (await openChain(parentIo, 'read', async () => ancestors[1] ?? parentIo)).read(0, SIZE);
  }
  const queue = ancestors.values();
  return (await openChain(childIo, 'read', async () => queue.next().value ?? parentIo)).read(0, SIZE);
}

async function sectorsOf({ kind, parentIo }: Pair): Promise<Uint8Array> {
  const has = new Uint8Array(SECTORS).fill(kind === 'a raw parent' ? 1 : 0);
  if (kind === 'a raw parent') return has;
  const image = await VhdImage.open(parentIo, 'read');
  for (const { offset, length, at } of await image.extents(0, SIZE))
    if (at !== ABSENT) has.fill(1, offset / SECTOR, (offset + length) / SECTOR);
  return has;
}

describe.each(KINDS)('merging a child into %s', (kind) => {
  it('the parent shows what the child showed, and has the sectors of both and no others', async () => {
    await fc.assert(
      fc.asyncProperty(runs, runs, fc.nat(3), async (ofParent, ofChild, turns) => {
        const pair = await pairOf(kind, ofParent, ofChild);
        pair.parentIo.turns = pair.childIo.turns = () => turns;
        const steps: (readonly [number, number])[] = [];
        expect(await merge(pair, { progress: (done, all) => steps.push([done, all]) })).toBe(true);
        pair.parentIo.turns = pair.childIo.turns = () => 0;
        expect((await shown(pair, pair.parentIo, 'parent')).equals(pair.content)).toBe(true);
        const both = pair.parentHas.map((has, sector) => has | (pair.childHas[sector] ?? 0));
        expect(Buffer.from(await sectorsOf(pair)).equals(both)).toBe(true);
        expect(steps.at(-1)?.[0]).toBe(steps.at(-1)?.[1]);
        if (kind !== 'a raw parent')
          expect((await checkVhd(pair.parentIo)).filter(({ severity }) => severity === 'error')).toEqual([]);
        expect(pair.childIo.log).toEqual([]);
      }),
      { numRuns: 15 },
    );
  });

  it('writes each sector of the child once, and of no other anything', async () => {
    await fc.assert(
      fc.asyncProperty(runs, runs, async (ofParent, ofChild) => {
        const pair = await pairOf(kind, ofParent, ofChild);
        const parent = await openParent(pair);
        const writes = new Uint8Array(SECTORS);
        const writer = parent instanceof VhdImage ? parent : pair.parentIo;
        const write = writer.write.bind(writer);
        writer.write = (offset: number, data: Uint8Array): Promise<void> => {
          for (let at = offset / SECTOR; at < (offset + data.length) / SECTOR; at += 1)
            writes[at] = (writes[at] ?? 0) + 1;
          return write(offset, data);
        };
        await mergeIntoParent(await VhdImage.open(pair.childIo, 'read'), parent);
        expect(Buffer.from(writes).equals(pair.childHas)).toBe(true);
      }),
      { numRuns: 10 },
    );
  });

  it('cut at any write, the disk shows what it showed', async () => {
    const cut = fc.double({ min: 0, max: 1, noNaN: true });
    await fc.assert(
      fc.asyncProperty(runs, runs, cut, async (ofParent, ofChild, at) => {
        const pair = await pairOf(kind, ofParent, ofChild);
        const before = Buffer.from(pair.parentIo.bytes);
        await merge(pair);
        for (const entry of pair.parentIo.log.slice(0, Math.floor(at * pair.parentIo.log.length)))
          if (entry !== 'flush') entry.data.copy(before, entry.offset);
        const content = await shown(pair, new RecordedIo(before, 'cut'), 'child');
        expect(content.equals(pair.content)).toBe(true);
      }),
      { numRuns: 15 },
    );
  });

  it('a failure is thrown when nothing is on its way any more', async () => {
    const pair = await pairOf(kind, [], [[0, SECTORS]]);
    let onTheirWay = 0;
    const write = pair.parentIo.write.bind(pair.parentIo);
    pair.parentIo.write = async (offset, data) => {
      onTheirWay += 1;
      try {
        await write(offset, data);
      } finally {
        onTheirWay -= 1;
      }
    };
    pair.parentIo.turns = () => 3;
    let left = 1;
    pair.parentIo.fails = (what) => what === 'write' && (left -= 1) < 0;
    await expect(merge(pair)).rejects.toThrow('fails');
    expect(onTheirWay).toBe(0);
  });
});

describe('a child that is larger than its parent', () => {
  const larger = async (parentIo: RecordedIo, parentUuid?: string): Promise<RecordedIo> => {
    const io = new RecordedIo(SIZE + 3 * MiB, 'child');
    const parent = { name: 'parent', modified: 0, ...(parentUuid === undefined ? {} : { uuid: parentUuid }) };
    await createChild(io, { virtualSizeBytes: SIZE + 2 * MiB, uuid: ID.child, timestamp: 0 }, parent);
    const child = await VhdImage.open(io, 'write');
    await child.write(SIZE, Buffer.alloc(SECTOR, 7));
    await child.close();
    parentIo.log.length = 0;
    return io;
  };

  it('the parent grows', async () => {
    const parentIo = new RecordedIo(SIZE + 3 * MiB, 'parent');
    const made = { virtualSizeBytes: SIZE, maxVirtualSizeBytes: 2 * SIZE, uuid: ID.base, timestamp: 0 };
    await createVhd(parentIo, made);
    const child = await VhdImage.open(await larger(parentIo, ID.base), 'read');
    const parent = await VhdImage.open(parentIo, 'write');
    expect(await mergeIntoParent(child, parent)).toBe(true);
    await parent.close();
    const again = await VhdImage.open(parentIo, 'read');
    expect(again.virtualSizeBytes).toBe(SIZE + 2 * MiB);
    expect(await again.read(SIZE, SECTOR)).toEqual(Buffer.alloc(SECTOR, 7));
  });

  it.each(['a table of blocks', 'a raw disk'])('%s that cannot: nothing is written', async (what) => {
    const parentIo = new RecordedIo(what === 'a raw disk' ? SIZE : SIZE + MiB, 'parent');
    const isRaw = what === 'a raw disk';
    if (!isRaw) await createVhd(parentIo, { virtualSizeBytes: SIZE, uuid: ID.base, timestamp: 0 });
    const child = await VhdImage.open(await larger(parentIo, isRaw ? undefined : ID.base), 'read');
    const parent = isRaw ? { io: parentIo, virtualSizeBytes: SIZE } : await VhdImage.open(parentIo, 'write');
    await expect(mergeIntoParent(child, parent)).rejects.toMatchObject({ code: 'vdi-size' });
    expect(parentIo.log).toEqual([]);
  });
});

describe('a merge that is stopped', () => {
  const BLOCKS = 24;
  const sparse = async (parentIo: RecordedIo): Promise<VhdImage> => {
    const size = BLOCKS * 2 * MiB;
    await createVhd(parentIo, { virtualSizeBytes: size, uuid: ID.base, timestamp: 0 });
    const io = new RecordedIo(size + MiB, 'child');
    const parent = { name: 'parent', modified: 0, uuid: ID.base };
    await createChild(io, { virtualSizeBytes: size, uuid: ID.child, timestamp: 0 }, parent);
    const child = await VhdImage.open(io, 'write');
    for (let block = 0; block < BLOCKS; block += 1) await child.write(block * 2 * MiB, Buffer.alloc(SECTOR, 1 + block));
    await child.flush();
    return child;
  };

  it('does not begin another block, waits for those on their way, and is made whole by the next', async () => {
    const parentIo = new RecordedIo((BLOCKS + 1) * 2 * MiB, 'parent');
    const child = await sparse(parentIo);
    const parent = await VhdImage.open(parentIo, 'write');
    parentIo.turns = () => 3;
    const stop = new AbortController();
    let done = 0;
    const progress = (now: number): void => {
      done = now;
      if (now === 2) stop.abort();
    };
    expect(await mergeIntoParent(child, parent, { goesOn: () => !stop.signal.aborted, progress })).toBe(false);
    expect(done).toBeGreaterThanOrEqual(2);
    expect(done).toBeLessThan(BLOCKS);
    expect(parent.allocatedBlocks).toBe(done);
    const written = parentIo.log.length;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(parentIo.log.length).toBe(written);
    expect(await mergeIntoParent(child, parent)).toBe(true);
    for (let block = 0; block < BLOCKS; block += 1)
      expect(await parent.read(block * 2 * MiB, SECTOR)).toEqual(Buffer.alloc(SECTOR, 1 + block));
  });

  it('before its first block writes nothing', async () => {
    const parentIo = new RecordedIo((BLOCKS + 1) * 2 * MiB, 'parent');
    const child = await sparse(parentIo);
    parentIo.log.length = 0;
    const parent = await VhdImage.open(parentIo, 'write');
    expect(await mergeIntoParent(child, parent, { goesOn: () => false })).toBe(false);
    expect(parentIo.log).toEqual([]);
  });
});

describe('beside the tool of blktap', () => {
  const { by, merges } = JSON.parse(
    readFileSync(join(import.meta.dirname, '../../fixtures/vhd/coalesced.json'), 'utf8'),
  ) as { readonly by: string; readonly merges: readonly (readonly [seed: number, blocks: number, sum: string])[] };

  it(`the parent has the sectors that it has after ${by}, each with the same in it`, async () => {
    expect(merges.length).toBeGreaterThanOrEqual(40);
    for (const [seed, blocks, sum] of merges) {
      const { parent, child } = await pairOfSeed(seed);
      const image = await VhdImage.open(parent, 'write');
      await mergeIntoParent(await VhdImage.open(child, 'read'), image);
      await image.close();
      const merged = await VhdImage.open(parent, 'read');
      expect([seed, merged.allocatedBlocks, await sumOf(merged)]).toEqual([seed, blocks, sum]);
    }
  });
});
