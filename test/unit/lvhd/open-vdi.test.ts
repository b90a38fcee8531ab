import { expect, test } from 'vitest';
import { RbdsrError } from '../../../src/base/error.ts';
import { MiB } from '../../../src/base/units.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { memoryIo } from '../../support/lvhd-memory-io.ts';
import { id, node } from './vdi-node.ts';

const made = { virtualSizeBytes: 4 * MiB, timestamp: 0 };

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
  const of = { virtualSizeBytes: made.virtualSizeBytes };
  const bases = { ...of, hidden: true };
  const nodes = [node(1, bases), node(2, { ...bases, parentUuid: id(1) }), node(3, { ...of, parentUuid: id(2) })];
  const tree = new VdiTree(nodes);
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
