import { constants, copyFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { vdiUuid } from '../../../src/base/ids.ts';
import { MiB, SECTOR } from '../../../src/base/units.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { readVdiNodes, type VdiNode } from '../../../src/lvhd/lv-table.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { inflate } from '../../../src/lvhd/ops/inflate.ts';
import { openVhd } from '../../../src/lvhd/open-vhd.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { UNALLOCATED } from '../../../src/vhd/format/bat.ts';
import { encodeHeader } from '../../../src/vhd/format/header.ts';
import { readParentNames } from '../../../src/vhd/format/parent-names.ts';
import { nextBlockSector } from '../../../src/vhd/format/places.ts';
import { expectAllWalked, killsOf, type Walk } from '../../support/every-step.ts';
import { type ChildProgram, childProgram } from '../../support/lvhd-child.ts';
import { attachLoop } from '../../support/lvhd-loop.ts';
import { type OpenSr, openSrOn, sha256Of, unpackVectors, vectorImages } from '../../support/lvhd-vectors.ts';

// Every step of what the collector does, on a chain of the stock storage manager's, on real LVM: it is killed after it,
// what there is then is what the step says, every disk reads as it did, then and after the next collection.

const image = vectorImages('interrupted-coalesce')['pre-coalesce'];
if (image === undefined) throw new Error('no pre-coalesce image');
const { content = {}, vdis, sr: srId } = image;
/** What is merged, and what it is merged into. */
const NODE = vdiUuid('7f9329af-9257-431a-af7c-91e8c9eea112');
const INTO = vdiUuid('5f681e0b-204f-4689-a12f-4d49cb571831');

let child: ChildProgram;
let unpacked: ReturnType<typeof unpackVectors>;
beforeAll(async () => {
  child = await childProgram(`${import.meta.dirname}/collect-child.ts`);
  unpacked = unpackVectors('interrupted-coalesce', ['pre-coalesce.img']);
});
afterAll(() => {
  child[Symbol.dispose]();
  unpacked[Symbol.dispose]();
});

interface Sight {
  readonly journals: readonly string[];
  readonly into: VdiNode | undefined;
  /** What hangs on each. */
  readonly below: { readonly node: number; readonly into: number };
  readonly sr: OpenSr;
  readonly tree: VdiTree;
}

async function sightOf(sr: OpenSr): Promise<Sight> {
  const report = await sr.report();
  const tree = new VdiTree(await readVdiNodes(report, sr.pvIo));
  const below = { node: tree.children(NODE).length, into: tree.children(INTO).length };
  return { journals: listJournals(report).map(({ type }) => type), into: tree.find(INTO), below, sr, tree };
}

const BEFORE = { node: 3, into: 1 };
const SMALL = 12 * MiB;

async function hasAll({ sr }: Sight): Promise<boolean> {
  const node = await openVhd(await sr.openLv(`VHD-${NODE}`, 'read'), 'read');
  const into = await openVhd(await sr.openLv(`VHD-${INTO}`, 'read'), 'read');
  for (const { offset, length, at } of await node.extents(0, node.virtualSizeBytes)) {
    if (at < 0) continue;
    if (!(await node.read(offset, length)).equals(await into.read(offset, length))) return false;
  }
  return true;
}

/** What each `leaves` of a step looks like, by its id. */
const looks: Readonly<Record<string, (sight: Sight) => unknown>> = {
  'merge-noted': async (sight) => {
    expect(sight).toMatchObject({ journals: ['coalesce'], below: BEFORE, into: { lvSizeBytes: SMALL } });
    expect(await hasAll(sight)).toBe(false);
  },
  'parent-grown': async (sight) => {
    expect(sight).toMatchObject({ journals: ['coalesce'], below: BEFORE });
    expect(sight.into?.lvSizeBytes).toBeGreaterThan(SMALL);
    expect(await hasAll(sight)).toBe(false);
  },
  copied: async (sight) => {
    expect(sight).toMatchObject({ journals: ['coalesce'], below: BEFORE });
    expect(await hasAll(sight)).toBe(true);
  },
  'copied-shrunk': async (sight) => {
    expect(sight).toMatchObject({ journals: ['coalesce'], below: BEFORE });
    expect(await hasAll(sight)).toBe(true);
  },
  'both-noted': async (sight) => {
    expect(sight).toMatchObject({ journals: ['coalesce', 'relink'], below: BEFORE });
    expect(await hasAll(sight)).toBe(true);
  },
  'one-name': async (sight) => {
    expect(sight).toMatchObject({ journals: ['relink'], below: BEFORE });
    expect(await namesBelow(sight)).toEqual([1, 3, 3]);
  },
  'names-beside': async (sight) => {
    expect(sight).toMatchObject({ journals: ['relink'], below: BEFORE });
    expect((await namesBelow(sight)).slice(1)).toEqual([3, 3]);
  },
  'one-child-linked': (sight) => {
    expect(sight.journals).toEqual(['relink']);
    expect(sight.below.node + sight.below.into).toBe(4);
    expect(sight.below.into).toBeGreaterThan(1);
  },
  garbage: (sight) => {
    expect(sight).toMatchObject({ journals: [], below: { node: 0, into: 4 } });
    expect(sight.tree.find(NODE)).toBeDefined();
  },
};

/** How many names of its parent each child of the node has, all of which name the node; in ascending order. */
async function namesBelow({ sr, tree }: Sight): Promise<readonly number[]> {
  const counts: number[] = [];
  for (const { lvName } of tree.children(NODE)) {
    const io = await sr.openLv(lvName, 'read');
    const { locators } = await readParentNames(io, (await openVhd(io, 'read')).header);
    for (const { path } of locators) expect(path).toContain(NODE.replaceAll('-', '--'));
    counts.push(locators.length);
  }
  return counts.toSorted((a, b) => a - b);
}

/** What is between the names of its parent and the first block of each child is a name of another platform. */
async function withoutRoom(sr: OpenSr): Promise<void> {
  for (const { lvName } of (await sightOf(sr)).tree.children(NODE)) {
    const io = await sr.openLv(lvName, 'write');
    const { header, footer, blockEntries } = await openVhd(io, 'read');
    const end = Math.max(...header.locators.map(({ offset, space }) => offset + space));
    const first = Math.min(...blockEntries.filter((entry) => entry !== UNALLOCATED), nextBlockSector(end)) * SECTOR;
    const other = { code: MAC, space: first - end, length: 1, reserved: 0, offset: end };
    const locators = header.locators.with(3, other);
    await io.write(Number(footer.dataOffset), encodeHeader({ ...header, locators }));
    await io.flush();
  }
}

/** "Mac ": an alias record. */
const MAC = 0x4d616320;

async function allRead({ sr, tree }: Sight): Promise<void> {
  expect(Object.keys(content)).not.toEqual([]);
  for (const [name, sha] of Object.entries(content)) {
    const disk = await openVdi(tree, vdiUuid(vdis[name] ?? ''), sr.openLv);
    expect([name, await sha256Of(disk)]).toEqual([name, sha]);
  }
}

function copyOf(): ReturnType<typeof attachLoop> {
  const copy = `${unpacked.folder}/copy.img`;
  copyFileSync(`${unpacked.folder}/pre-coalesce.img`, copy, constants.COPYFILE_FICLONE);
  return attachLoop(copy);
}

async function killed(
  point: string,
  look?: (sight: Sight) => unknown,
  before?: (sr: OpenSr) => Promise<unknown>,
): Promise<void> {
  using loop = copyOf();
  if (before !== undefined) {
    await using sr = await openSrOn(loop.device, srId);
    await before(sr);
  }
  const end = await child.run([loop.device, srId], { RBDSR_FAULT: point });
  expect(end.signal, end.output).toBe('SIGKILL');
  {
    await using sr = await openSrOn(loop.device, srId);
    const sight = await sightOf(sr);
    await allRead(sight);
    await look?.(sight);
  }
  const again = await child.run([loop.device, srId]);
  expect([again.code, again.output.match(/^failed .*/gm)], again.output).toEqual([0, null]);
  await using sr = await openSrOn(loop.device, srId);
  const sight = await sightOf(sr);
  await allRead(sight);
  expect(sight.journals).toEqual([]);
  expect(sight.tree.find(NODE)).toBeUndefined();
  expect(sight.into?.lvSizeBytes).toBe(shrunkTo);
  for (const { lvName } of sight.tree.nodes) expect(await checkVhd(await sr.openLv(lvName, 'read'))).toEqual([]);
}

/** As a collection leaves it that nobody kills. */
let shrunkTo = 0;
beforeAll(async () => {
  using loop = copyOf();
  await child.run([loop.device, srId]);
  await using sr = await openSrOn(loop.device, srId);
  shrunkTo = (await sightOf(sr)).into?.lvSizeBytes ?? 0;
});

type Way = Walk & { readonly prepared?: (sr: OpenSr) => Promise<void> };
const walk: Way = { call: async () => undefined };
const walks: Readonly<Record<string, readonly Way[]>> = {
  'merging an inner node': [walk],
  'relinking a child': [
    { ...walk, without: ['relink.narrowed'] },
    { ...walk, prepared: withoutRoom },
  ],
  // No journal is left where nothing was killed: a test below leaves one.
  'removing garbage': [{ ...walk, without: ['collect.journal'] }],
};
const menders = { again: true };
const TEST = 'test/host/gc/every-step.test.ts';

test.each(killsOf(TEST, walks))(
  '%s killed at %s, mended by %s (%i)',
  (_title, point, _mender, _index, left, { prepared }) => killed(point, looks[left], prepared),
);

test.each(['relink.names-written:2', 'relink.header-written:2'])('killed at the second child, %s', (point) =>
  killed(point),
);

test.each(['inflate.journal-created', 'inflate.resized', 'inflate.zeroed', 'inflate.footer-written'])(
  'killed while the parent grows, at %s',
  (point) => killed(point),
);

test('killed while a parent shrinks that had more room than it takes', () =>
  killed('deflate.footer-written', looks['copied'], async (sr) => inflate(sr, await sr.report(), INTO, 64 * MiB)));

test('every protocol has a walk, every step that is mended a command for it, every state a look, and none more', () => {
  expectAllWalked(TEST, { walks, menders, looks });
});
