import { describe, expect, it } from 'vitest';
import { MiB, SECTOR } from '../../../src/base/units.ts';
import { openChain } from '../../../src/vhd/chain/chain.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { RecordedIo } from './recorded-io.ts';

const SIZE = 4 * MiB;

function uuidOf(n: number): string {
  return `00000000-0000-0000-0000-${String(n).padStart(12, '0')}`;
}

async function base(n: number, size = SIZE): Promise<RecordedIo> {
  const io = new RecordedIo(size + MiB, `base ${n}`);
  await createVhd(io, { virtualSizeBytes: size, uuid: uuidOf(n), timestamp: 0 });
  return io;
}

async function childOf(parent: number | undefined, n: number, size = SIZE): Promise<RecordedIo> {
  const io = new RecordedIo(size + MiB, `child ${n}`);
  const vhd = { virtualSizeBytes: size, uuid: uuidOf(n), timestamp: 0 };
  await createChild(io, vhd, { name: 'p', modified: 0, ...(parent === undefined ? {} : { uuid: uuidOf(parent) }) });
  return io;
}

const noParent = (): never => {
  throw new Error('it has no parent');
};

describe('a chain', () => {
  it('writes to the leaf only, and closes every image', async () => {
    const parent = await base(1);
    const before = Buffer.from(parent.bytes);
    const leaf = await childOf(1, 2);
    const chain = await openChain(leaf, 'write', async () => parent);
    await chain.write(100, Buffer.from('hello'));
    await chain.close();
    expect([parent.closed, leaf.closed, parent.bytes.equals(before)]).toEqual([true, true, true]);
    const again = await openChain(leaf, 'read', async () => parent);
    expect((await again.read(98, 9)).toString('latin1')).toBe('\0\0hello\0\0');
  });

  it('larger than its parent reads zeroes behind the parent’s end', async () => {
    const parent = await base(1, 2 * MiB);
    const writer = await openChain(parent, 'write', noParent);
    await writer.write(0, Buffer.alloc(2 * MiB, 7));
    await writer.flush();
    const chain = await openChain(await childOf(1, 2, 4 * MiB), 'read', async () => parent);
    const found = await chain.read(2 * MiB - 10, 20);
    expect(found.equals(Buffer.concat([Buffer.alloc(10, 7), Buffer.alloc(10)]))).toBe(true);
    expect((await chain.read(3 * MiB, 10)).equals(Buffer.alloc(10))).toBe(true);
  });

  it('refuses a parent that is another one, and closes what it opened', async () => {
    const wrong = await base(3);
    const leaf = await childOf(1, 2);
    await expect(openChain(leaf, 'read', async () => wrong)).rejects.toMatchObject({
      code: 'vhd-corrupt',
      detail: { expected: `a VHD with uuid ${uuidOf(1)}`, found: `a VHD with uuid ${uuidOf(3)}` },
    });
    expect([wrong.closed, leaf.closed]).toEqual([true, false]);
  });

  it('refuses a raw parent for a VHD and a VHD for a raw one', async () => {
    const raw = new RecordedIo(SIZE);
    await expect(openChain(await childOf(1, 2), 'read', async () => ({ raw }))).rejects.toMatchObject({
      code: 'vhd-corrupt',
    });
    const parent = await base(1);
    await expect(openChain(await childOf(undefined, 2), 'read', async () => parent)).rejects.toMatchObject({
      code: 'vhd-corrupt',
    });
  });

  it('that runs in a circle is refused', async () => {
    const images = [await childOf(2, 1), await childOf(1, 2)];
    let asked = 0;
    const opening = openChain(await childOf(1, 3), 'read', async () => {
      asked += 1;
      return images[(asked - 1) % 2] ?? noParent();
    });
    await expect(opening).rejects.toMatchObject({ code: 'vhd-corrupt' });
    expect(asked).toBe(3);
  });

  it.each([
    [30, true],
    [31, true],
  ])('of %i levels opens: %s', async (levels, opens) => {
    const open = async (): Promise<void> => {
      let next = levels - 1;
      const chain = await openChain(await childOf(next, levels), 'read', async () => {
        next -= 1;
        return next === 0 ? base(1) : childOf(next, next + 1);
      });
      await chain.read(0, SECTOR);
    };
    if (opens) await open();
    else await expect(open()).rejects.toMatchObject({ code: 'vhd-corrupt' });
  });

  it('refuses what lies outside, before it reads or writes', async () => {
    const chain = await openChain(await base(1), 'write', noParent);
    await expect(chain.read(SIZE - 1, 2)).rejects.toMatchObject({ code: 'io' });
    await expect(chain.read(-1, 1)).rejects.toMatchObject({ code: 'io' });
    await expect(chain.write(SIZE - 1, Buffer.alloc(2))).rejects.toMatchObject({ code: 'io' });
    expect((await chain.read(SIZE, 0)).length).toBe(0);
  });

  it('reads a full range with one request, and a torn one with a request per block and layer', async () => {
    const parent = await base(1);
    const writer = await openChain(parent, 'write', noParent);
    await writer.write(0, Buffer.alloc(SIZE, 1));
    await writer.flush();
    const leaf = await childOf(1, 2);
    const chain = await openChain(leaf, 'write', async () => parent);
    await chain.read(MiB, SECTOR);
    parent.reads.splice(0);
    await chain.read(0, MiB);
    expect(parent.reads).toHaveLength(1);
    for (let at = 0; at < MiB; at += 2 * SECTOR) await chain.write(at, Buffer.alloc(SECTOR, 2));
    parent.reads.splice(0);
    leaf.reads.splice(0);
    const torn = await chain.read(0, MiB);
    expect([torn[0], torn[SECTOR], torn[2 * SECTOR], torn[3 * SECTOR]]).toEqual([2, 1, 2, 1]);
    expect([leaf.reads.length, parent.reads.length]).toEqual([1, 1]);
  });
});
