import { afterEach, beforeEach, expect, it } from 'vitest';
import { vdiUuid } from '../../../src/base/ids.ts';
import { foldLeaf } from '../../../src/gc/fold-leaf.ts';
import type { CollectorWorld } from '../../../src/gc/world.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { recoverJournals } from '../../../src/lvhd/journal/recover.ts';
import { readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { openVhd } from '../../../src/lvhd/open-vhd.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { type OpenSr, openSr, sha256Of, unpackVectors, vectorImages } from '../../support/lvhd-vectors.ts';
import { worldOf } from './vector-world.ts';

// The cluster keeps the last block of a leaf waiting; meanwhile the pool gets another master, which undoes the merge
// and lets a guest have the disk. The leaf is never removed then.

const image = vectorImages('killed-leaf')['pre-leaf'];
const leaf = vdiUuid(image?.vdis['x'] ?? '');
const parent = vdiUuid('db60565c-6a2c-457a-af56-d5c54afe0c69');

let unpacked: ReturnType<typeof unpackVectors>;
let sr: OpenSr;
beforeEach(async () => {
  unpacked = unpackVectors('killed-leaf', [image?.file ?? '']);
  sr = await openSr(`${unpacked.folder}/${image?.file ?? ''}`, image?.sr ?? '');
});
afterEach(async () => {
  await sr[Symbol.asyncDispose]();
  unpacked[Symbol.dispose]();
});

/** `last`: what happens before the last of the leaf's blocks is copied; what it answers is answered from then on. */
async function worldWith(last: () => Promise<boolean>): Promise<CollectorWorld> {
  const io = await sr.openLv(`VHD-${leaf}`, 'read');
  let left = (await openVhd(io, 'read')).allocatedBlocks;
  let answer = true;
  return {
    ...worldOf(sr),
    mayWrite: async () => {
      left -= 1;
      const asked = answer;
      if (left === 0) answer = await last();
      return asked;
    },
  };
}

async function isWhole(): Promise<void> {
  const report = await sr.report();
  expect(listJournals(report)).toEqual([]);
  const nodes = await readVdiNodes(report, sr.pvIo);
  const tree = new VdiTree(nodes);
  expect([tree.find(leaf)?.parentUuid, tree.find(parent)?.hidden]).toEqual([parent, true]);
  expect(await sha256Of(await openVdi(tree, leaf, sr.openLv))).toBe(image?.content?.['x']);
}

it('another master, which has not yet come to it', async () => {
  const world = { ...(await worldWith(async () => false)), isMaster: async () => false };
  await expect(foldLeaf(world, leaf, parent)).rejects.toMatchObject({ code: 'vdi-unavailable' });
  expect(listJournals(await sr.report()).map(({ type }) => type)).toEqual(['leaf']);
  await recoverJournals({ ...sr, refreshElsewhere: async () => undefined }, await sr.report());
  await isWhole();
});

it('somebody who asks for an end', async () => {
  const world = await worldWith(async () => false);
  await expect(foldLeaf(world, leaf, parent)).rejects.toMatchObject({ code: 'vdi-unavailable' });
  await isWhole();
});

it('another master, which has undone it', async () => {
  const world = await worldWith(async () => {
    for (const { type, lvName } of listJournals(await sr.report())) if (type === 'leaf') await sr.lvm.removeLv(lvName);
    return true;
  });
  await expect(foldLeaf(world, leaf, parent)).rejects.toMatchObject({ code: 'vdi-unavailable' });
  await isWhole();
});

it('nobody', async () => {
  const world = await worldWith(async () => true);
  expect(await foldLeaf(world, leaf, parent)).toBe(true);
  const nodes = await readVdiNodes(await sr.report(), sr.pvIo);
  expect(nodes.map(({ lvName }) => lvName)).toEqual([`VHD-${leaf}`]);
  expect(await sha256Of(await openVdi(new VdiTree(nodes), leaf, sr.openLv))).toBe(image?.content?.['x']);
});
