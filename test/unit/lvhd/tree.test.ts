import { describe, expect, it } from 'vitest';
import { RbdsrError } from '../../../src/base/error.ts';
import type { VdiNode } from '../../../src/lvhd/lv-table.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { id, node } from './vdi-node.ts';

function over(n: number, parent?: number, changes: Partial<VdiNode> = {}): VdiNode {
  return node(n, { ...(parent === undefined ? {} : { parentUuid: id(parent) }), ...changes });
}

const uuidsOf = (nodes: readonly VdiNode[]): number[] => nodes.map(({ uuid }) => Number(uuid.slice(-12)));

describe('VdiTree', () => {
  const tree = new VdiTree([
    over(1, undefined, { hidden: true, kind: 'aio' }),
    over(2, 1, { hidden: true }),
    over(3, 2),
    over(4, 1),
    over(5, 2),
  ]);

  it('knows chains, depths and children', () => {
    expect(uuidsOf(tree.chain(id(3)))).toEqual([3, 2, 1]);
    expect([tree.depth(id(1)), tree.depth(id(4)), tree.depth(id(5))]).toEqual([1, 2, 3]);
    expect([uuidsOf(tree.children(id(1))), uuidsOf(tree.children(id(2))), uuidsOf(tree.children(id(3)))]).toEqual([
      [2, 4],
      [3, 5],
      [],
    ]);
  });

  it('a hidden node without children is not shown', () => {
    const leftover = new VdiTree([...tree.nodes, over(6, 1, { hidden: true })]);
    expect(uuidsOf(leftover.visible())).toEqual([1, 2, 3, 4, 5]);
  });

  it('a leaf set aside does not take the place of its VDI', () => {
    const both = new VdiTree([over(1, undefined, { old: true, lvName: `VHD-OLD_${id(1)}` }), over(1)]);
    expect(both.get(id(1)).lvName).toBe(`VHD-${id(1)}`);
    expect(both.nodes).toHaveLength(1);
  });

  it('broken chains are refused by name', () => {
    expect(() => new VdiTree([over(1, 9)]).chain(id(1))).toThrow(expect.objectContaining({ code: 'vhd-corrupt' }));
    expect(() => new VdiTree([over(1, 2), over(2, 1)]).chain(id(1))).toThrow(/comes back to itself/);
    expect(() => tree.get(id(9))).toThrow(expect.objectContaining({ code: 'vdi-missing' }));
  });

  it('an unreadable ancestor stops the chain with its own error', () => {
    const scanError = new RbdsrError('vhd-corrupt', { what: 'no footer' });
    const damaged = new VdiTree([over(1, undefined, { scanError }), over(2, 1)]);
    expect(() => damaged.chain(id(2))).toThrow(`VDI ${id(1)} cannot be read: no footer`);
    expect(uuidsOf(damaged.unreadable())).toEqual([1]);
  });

  it('a foreign disk can be found, and is neither shown nor driven', () => {
    const scanError = new RbdsrError('vdi-type', { what: 'not ours' });
    const mixed = new VdiTree([over(1, undefined, { kind: 'foreign', scanError }), over(2, 1), over(3)]);
    expect(mixed.find(id(1))?.kind).toBe('foreign');
    expect([uuidsOf(mixed.visible()), uuidsOf(mixed.unreadable()), uuidsOf(mixed.foreign())]).toEqual([
      [2, 3],
      [],
      [1],
    ]);
    for (const drive of [() => mixed.get(id(1)), () => mixed.chain(id(1)), () => mixed.chain(id(2))]) {
      expect(drive).toThrow(expect.objectContaining({ code: 'vdi-type', message: 'not ours' }));
    }
  });
});
