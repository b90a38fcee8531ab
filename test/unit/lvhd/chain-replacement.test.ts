import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { srUuid } from '../../../src/base/ids.ts';
import { type ReplacementWorld, replaceChain } from '../../../src/lvhd/chain-replacement.ts';
import type { VdiNode } from '../../../src/lvhd/lv-table.ts';
import { RefCounts } from '../../../src/lvhd/refcount.ts';
import { node } from './vdi-node.ts';

// A guest waits for every command of LVM: one makes all active that is new to its disk.

let folder: string;
let counts: RefCounts;
let commands: string[];
let world: ReplacementWorld;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rbdsr-replacement-'));
  const places = { root: join(folder, 'refcount'), lockRoot: join(folder, 'lock') };
  counts = new RefCounts(srUuid('00000000-0000-4000-8000-0000000000ff'), { deadline: Deadline.after(60_000), places });
  commands = [];
  world = { counts, lvm: { activateAllAfresh: async (names) => void commands.push(names.join(' ')) } };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const volume = (n: number, active: boolean): VdiNode => node(n, { lvName: `lv${n}`, active });

const countsOf = (nodes: readonly VdiNode[]): readonly number[] => nodes.map(({ uuid }) => counts.read(uuid).normal);

test('the leaf and a new base are made active in one command, and the base is counted; what was there is left alone', async () => {
  const [leaf, base, root] = [volume(1, false), volume(2, false), volume(3, true)];
  counts.get(root.uuid, 'normal');
  counts.get(leaf.uuid, 'binary');
  await replaceChain(world, [leaf, base, root]);
  expect(commands).toEqual(['lv2 lv1']);
  expect(countsOf([leaf, base, root])).toEqual([0, 1, 1]);
  await replaceChain(world, [volume(1, true), volume(2, true), root]);
  expect(commands).toEqual(['lv2 lv1', 'lv1']);
  expect(countsOf([leaf, base, root])).toEqual([0, 1, 1]);
});

test('an ancestor that is active and that nobody counts, or counted and not active, may have a table of another time', async () => {
  const [leaf, base, root] = [volume(1, false), volume(2, true), volume(3, false)];
  counts.get(root.uuid, 'normal');
  await replaceChain(world, [leaf, base, root]);
  expect(commands).toEqual(['lv3 lv2 lv1']);
  expect(countsOf([base, root])).toEqual([1, 1]);
});
