import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { openChain, type VhdChain } from '../../../src/vhd/chain/chain.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { RecordedIo } from './recorded-io.ts';

const SIZE = 6 * MiB;
const PARENT = '11111111-1111-1111-1111-111111111111';
const CHILD = '22222222-2222-2222-2222-222222222222';
const parentContent = Buffer.alloc(SIZE, 'parent');

const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), range: range(512), byte: fc.nat(255) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('write' as const), range: range(1), byte: fc.nat(255) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('read' as const), range: range(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
);

/** Often small, sometimes over a whole block, often at a border of blocks. */
function range(unit: number): fc.Arbitrary<readonly [number, number]> {
  const near = fc.tuple(fc.constantFrom(0, 2 * MiB, 4 * MiB, SIZE), fc.integer({ min: -20, max: 20 }));
  const start = fc.oneof(
    near.map(([at, by]) => at + by * unit),
    fc.nat(SIZE / unit).map((n) => n * unit),
  );
  const length = fc.oneof(fc.nat(40), fc.nat(Math.floor((3 * MiB) / unit))).map((n) => n * unit);
  return fc.tuple(start, length).map(([at, size]) => {
    const from = Math.min(Math.max(at, 0), SIZE - unit);
    return [from, Math.min(size, SIZE - from)] as const;
  });
}

interface Disk {
  readonly io: RecordedIo;
  readonly open: () => Promise<VhdChain>;
  readonly before: Buffer;
}

const kinds: Readonly<Record<string, () => Promise<Disk>>> = {
  dynamic: async () => {
    const io = new RecordedIo(SIZE + MiB);
    await createVhd(io, { virtualSizeBytes: SIZE, uuid: CHILD, timestamp: 0 });
    const open = (): Promise<VhdChain> =>
      openChain(io, 'write', () => {
        throw new Error('it has no parent');
      });
    return { io, open, before: Buffer.alloc(SIZE) };
  },
  'differencing, over a raw parent that is shorter': async () => {
    const io = new RecordedIo(SIZE + MiB);
    await createChild(io, { virtualSizeBytes: SIZE, uuid: CHILD, timestamp: 0 }, { name: 'raw', modified: 0 });
    const raw = new RecordedIo(Buffer.from(parentContent.subarray(0, 5 * MiB)));
    const before = Buffer.concat([raw.bytes, Buffer.alloc(MiB)]);
    return { io, before, open: () => openChain(io, 'write', async () => ({ raw })) };
  },
  'differencing, over a VHD': async () => {
    const parent = new RecordedIo(SIZE + MiB);
    await createVhd(parent, { virtualSizeBytes: SIZE, uuid: PARENT, timestamp: 0 });
    const chain = await openChain(parent, 'write', () => {
      throw new Error('it has no parent');
    });
    const before = Buffer.alloc(SIZE);
    for (const at of [512, MiB + 512, 2 * MiB - 1024, 4 * MiB]) {
      await chain.write(at, parentContent.subarray(at, at + 2048));
      parentContent.copy(before, at, at, at + 2048);
    }
    await chain.close();
    const io = new RecordedIo(SIZE + MiB);
    const name = { name: 'parent.vhd', uuid: PARENT, modified: 0 };
    await createChild(io, { virtualSizeBytes: SIZE, uuid: CHILD, timestamp: 0 }, name);
    return { io, before, open: () => openChain(io, 'write', async () => parent) };
  },
};

describe('a disk behaves like a run of bytes', () => {
  it.each(Object.entries(kinds))('%s', async (_kind, make) => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 25 }), async (actions) => {
        const { io, open, before } = await make();
        const model = Buffer.from(before);
        let chain = await open();
        for (const step of actions) {
          if (step.kind === 'write') {
            const [at, length] = step.range;
            await chain.write(at, Buffer.alloc(length, step.byte));
            model.fill(step.byte, at, at + length);
          } else if (step.kind === 'read') {
            const [at, length] = step.range;
            expect((await chain.read(at, length)).equals(model.subarray(at, at + length))).toBe(true);
          } else if (step.kind === 'flush') {
            await chain.flush();
            expect(await checkVhd(io)).toEqual([]);
          } else {
            await chain.close();
            chain = await open();
          }
        }
        expect((await chain.read(0, SIZE)).equals(model)).toBe(true);
        await chain.close();
        expect(await checkVhd(io)).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });

  it.each(Object.entries(kinds))('%s, with many requests at a time', async (_kind, make) => {
    const piece = 24 * 1024;
    const order = fc.shuffledSubarray(
      Array.from({ length: SIZE / piece }, (_unused, i) => i),
      { minLength: 20, maxLength: SIZE / piece },
    );
    await fc.assert(
      fc.asyncProperty(order, fc.infiniteStream(fc.nat(3)), async (pieces, delays) => {
        const { io, open, before } = await make();
        const model = Buffer.from(before);
        const chain = await open();
        io.turns = () => delays.next().value;
        // Pieces do not overlap but share blocks and sectors' neighbours; flushes run among them.
        await Promise.all(
          pieces.map(async (index) => {
            const at = index * piece + (index % 3) * 100;
            const data = Buffer.alloc(piece - 300, index % 256);
            data.copy(model, at);
            await chain.write(at, data);
            if (index % 16 === 0) await chain.flush();
            expect((await chain.read(at, data.length)).equals(data)).toBe(true);
          }),
        );
        io.turns = () => 0;
        expect((await chain.read(0, SIZE)).equals(model)).toBe(true);
        await chain.close();
        expect(await checkVhd(io)).toEqual([]);
        const again = await open();
        expect((await again.read(0, SIZE)).equals(model)).toBe(true);
      }),
      { numRuns: 6 },
    );
  });
});
