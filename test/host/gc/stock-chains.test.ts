import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vdiUuid } from '../../../src/base/ids.ts';
import { planNow } from '../../../src/gc/collect.ts';
import { planInWords } from '../../../src/gc/plan-in-words.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { type ChildProgram, childProgram } from '../../support/lvhd-child.ts';
import { attachLoop } from '../../support/lvhd-loop.ts';
import {
  type OpenSr,
  openSrOn,
  sha256Of,
  unpackVectors,
  type VectorImage,
  vectorImages,
} from '../../support/lvhd-vectors.ts';
import { worldOf } from './vector-world.ts';

// SRs that the stock storage manager has left, at rest and with its collector killed, are collected by ours: every disk
// reads as it did, and nothing is left that could be done.

const ARCHIVES = ['chains', 'interrupted-coalesce', 'killed-leaf', 'killed-rawleaf'] as const;

let child: ChildProgram;
beforeAll(async () => {
  child = await childProgram(`${import.meta.dirname}/collect-child.ts`);
});
afterAll(() => child[Symbol.dispose]());

describe.each(ARCHIVES)('%s', (archive) => {
  const images = Object.entries(vectorImages(archive));
  let unpacked: ReturnType<typeof unpackVectors>;
  beforeAll(() => {
    unpacked = unpackVectors(archive);
  });
  afterAll(() => unpacked[Symbol.dispose]());

  it.each(images)('%s', async (_name, image) => {
    using loop = attachLoop(`${unpacked.folder}/${image.file}`);
    const { code, output } = await child.run([loop.device, image.sr]);
    expect({ code, failed: output.match(/^failed .*/gm) }, output).toEqual({ code: 0, failed: null });
    await using sr = await openSrOn(loop.device, image.sr);
    await isCollected(sr, image);
    // The disk is one volume again, under its own name.
    if (archive === 'killed-leaf' || archive === 'killed-rawleaf') expect(await volumesOf(sr)).toHaveLength(1);
    if (archive === 'interrupted-coalesce')
      expect((await sr.report()).lvs.map(({ name }) => name)).not.toContain(MERGED);
  });
});

async function volumesOf(sr: OpenSr): Promise<readonly string[]> {
  return (await sr.report()).lvs.map(({ name }) => name).filter((name) => name !== 'MGT');
}

/** What stock's collector was killed over. */
const MERGED = 'VHD-7f9329af-9257-431a-af7c-91e8c9eea112';

async function isCollected(sr: OpenSr, image: VectorImage): Promise<void> {
  const report = await sr.report();
  expect(listJournals(report)).toEqual([]);
  const nodes = await readVdiNodes(report, sr.pvIo);
  const tree = new VdiTree(nodes);
  for (const [name, sha] of Object.entries(image.content ?? image.content_before ?? {})) {
    const uuid = image.vdis[name] ?? '';
    const disk = await openVdi(tree, vdiUuid(uuid), sr.openLv);
    expect([name, await sha256Of(disk)]).toEqual([name, sha]);
  }
  for (const { kind, lvName } of nodes)
    if (kind === 'vhd') expect([lvName, await checkVhd(await sr.openLv(lvName, 'read'))]).toEqual([lvName, []]);
  expect(nodes.filter(({ old }) => old)).toEqual([]);
  expect(planInWords(await planNow(worldOf(sr)))).toEqual([]);
}
