import { expect, test } from 'vitest';
import { RbdsrError } from '../../../src/base/error.ts';
import { type VdiUuid, vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import type { VdiNode } from '../../../src/lvhd/lv-table.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { memoryIo } from '../../support/lvhd-memory-io.ts';

const id = (n: number): VdiUuid => vdiUuid(`00000000-0000-4000-8000-${String(n).padStart(12, '0')}`);
const made = { virtualSizeBytes: 4 * MiB, timestamp: 0 };

function node(n: number, parent?: number): VdiNode {
  return {
    uuid: id(n),
    kind: 'vhd',
    lvName: `VHD-${id(n)}`,
    lvSizeBytes: 8 * MiB,
    virtualSizeBytes: 4 * MiB,
    hidden: n !== 3,
    ...(parent === undefined ? {} : { parentUuid: id(parent) }),
    lvReadOnly: false,
    active: false,
    open: false,
    old: false,
  };
}

/** A leaf over two ancestors; opening the n-th of them fails, or its header cannot be read. */
async function chain(fault?: { readonly at: number; readonly how: 'open' | 'header' }) {
  const images = new Map([1, 2, 3].map((n) => [n, memoryIo(8 * MiB)] as const));
  const [base, middle, leaf] = [...images.values()];
  if (base === undefined || middle === undefined || leaf === undefined) throw new Error('no images');
  await createVhd(base, { ...made, uuid: id(1) });
  await createChild(middle, { ...made, uuid: id(2) }, { name: `VHD-${id(1)}`, uuid: id(1), modified: 0 });
  await createChild(leaf, { ...made, uuid: id(3) }, { name: `VHD-${id(2)}`, uuid: id(2), modified: 0 });
  if (fault?.how === 'header') images.get(fault.at)?.bytes.fill(0);
  const open = new Set<string>();
  const openLv = async (name: string) => {
    const n = Number(name.slice(-12));
    const io = images.get(n);
    if (io === undefined || (fault?.how === 'open' && fault.at === n)) {
      throw new RbdsrError('io', { what: `${name} cannot be read` });
    }
    open.add(name);
    return { ...io, close: async () => void open.delete(name) };
  };
  const tree = new VdiTree([node(1), node(2, 1), node(3, 2)]);
  return { open, opening: () => openVdi(tree, id(3), openLv) };
}

test('a chain is open as long as its disk is', async () => {
  const { open, opening } = await chain();
  const disk = await opening();
  expect(open.size).toBe(3);
  await disk.close();
  expect([...open]).toEqual([]);
});

test.each([1, 2, 3].flatMap((at) => (['open', 'header'] as const).map((how) => ({ at, how }))))(
  'nothing stays open where %j is what fails',
  async (fault) => {
    const { open, opening } = await chain(fault);
    await expect(opening()).rejects.toBeInstanceOf(RbdsrError);
    expect([...open]).toEqual([]);
  },
);
