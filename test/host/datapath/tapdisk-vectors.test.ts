import { closeSync, ftruncateSync, linkSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { BlockIo } from '../../../src/base/block-io.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { srUuid, vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { TapdiskDataPath } from '../../../src/datapath/tapdisk/tapdisk-data-path.ts';
import { diskOfPath } from '../../../src/lvhd/disk-of-path.ts';
import { vgName } from '../../../src/lvhd/names.ts';
import { dmName, lvPath } from '../../../src/lvm/dm-name.ts';
import { openFrom, openSr, vectorImages, type VectorImage } from '../../support/lvhd-vectors.ts';
import { STOCK_ARCHIVES, useArchive } from '../../support/stock-archives.ts';
import { tapdiskHost } from '../../unit/datapath/tapdisk-host.ts';
import { type MapperStyle, nameVolume } from '../../unit/datapath/volume-nodes.ts';

const ARCHIVES = STOCK_ARCHIVES.filter((archive) => imagesWithParents(archive).length > 0);

/**
 * Every disk with a parent that the stock driver left is opened with the parents it has, however the host names its
 * volumes.
 */
describe.each(ARCHIVES)('tapdisk on the stock SRs of %s', (archive) => {
  const path = useArchive(archive);

  test.each(imagesWithParents(archive))('%s', async (name, image) => {
    const folder = path(`${name}.volumes`);
    mkdirSync(folder);
    await copyVolumes(image, path(image.file), folder);
    const leaves = leavesWithParents(image);
    await expectChains(image, folder, 'links', leaves);
    await expectChains(image, folder, 'nodes', leaves.slice(0, 1));
  });
});

async function expectChains(image: VectorImage, folder: string, style: MapperStyle, leaves: readonly Leaf[]) {
  const standIn = tapdiskHost();
  try {
    const dataPath = new TapdiskDataPath(standIn.host, diskOfPath);
    const sr = srUuid(image.sr);
    const vg = vgName(sr);
    for (const [number, { lv }] of Object.values(image.state.vdis).entries()) {
      linkSync(`${folder}/${lv}`, nameVolume(standIn.root, style, vg, lv, number));
    }
    for (const { uuid, chain } of leaves) {
      const target = standIn.root + lvPath(vg, chain[0] ?? '');
      const disk = { sr, vdi: vdiUuid(uuid), kind: 'vhd', target, writable: true, parents: [] } as const;
      await dataPath.activate(disk, Deadline.after(20_000));
    }
    const opened = Object.values(standIn.minors()).map((minor) => minor.chain);
    const expected = leaves.map(({ chain: [leaf = '', ...parents] }) => [
      lvPath(vg, leaf),
      ...parents.map((lv) => `/dev/mapper/${dmName(vg, lv)}`),
    ]);
    expect(opened).toEqual(expected);
    expect(await dataPath.list(sr, Deadline.after(20_000))).toHaveLength(leaves.length);
  } finally {
    standIn.remove();
  }
}

interface Leaf {
  readonly uuid: string;
  /** Names of volumes, its own first. */
  readonly chain: readonly string[];
}

function imagesWithParents(archive: string): [string, VectorImage][] {
  return Object.entries(vectorImages(archive)).filter(([, image]) => leavesWithParents(image).length > 0);
}

/** As the stock tools saw them: `parent` is a sentence where there is none, or where it could not be found. */
function leavesWithParents({ state }: VectorImage): Leaf[] {
  const nodes = new Map(Object.entries(state.vdis));
  const parents = new Set([...nodes.values()].map(({ parent }) => parent));
  return [...nodes.keys()]
    .filter((uuid) => !parents.has(uuid) && nodes.has(nodes.get(uuid)?.parent ?? ''))
    .map((uuid) => {
      const chain: string[] = [];
      for (let node = nodes.get(uuid); node !== undefined; node = nodes.get(node.parent ?? '')) chain.push(node.lv);
      return { uuid, chain };
    });
}

/** What of each volume says what it is: its head, where metadata are, and its end. */
async function copyVolumes(image: VectorImage, file: string, folder: string): Promise<void> {
  await using sr = await openSr(file, image.sr);
  const open = openFrom(await sr.report(), sr.pvIo);
  for (const { lv } of Object.values(image.state.vdis)) await copyEnds(await open(lv, 'read'), `${folder}/${lv}`);
}

async function copyEnds(io: BlockIo, path: string): Promise<void> {
  const fd = openSync(path, 'w');
  try {
    ftruncateSync(fd, io.size);
    for (const [offset, length] of [
      [0, Math.min(io.size, 8 * MiB)],
      [io.size - 512, 512],
    ] as const) {
      const bytes = await io.read(offset, length);
      if (!bytes.every((byte) => byte === 0)) writeSync(fd, bytes, 0, length, offset);
    }
  } finally {
    closeSync(fd);
  }
}
