import { expect, test } from 'vitest';
import type { BlockIo } from '../../../src/base/block-io.ts';
import { vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { readChainNodes, readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import { lvName } from '../../../src/lvhd/names.ts';
import { recoverJournals } from '../../../src/lvhd/journal/recover.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { checkDeletable } from '../../../src/lvhd/ops/vdi-delete.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { loopDevice, makeUnreadable } from '../../support/lvhd-loop.ts';
import { openSrOn } from '../../support/lvhd-vectors.ts';
import type { OpenSr } from '../../support/lvhd-vectors.ts';

const SR = '5a1c7f00-1111-4222-8333-0123456789ab';
const vdi = (n: number) => vdiUuid(`0d15c000-1111-4222-8333-00000000000${n}`);
/** In the order in which they lie on the device: from the volume of `LOST` on nothing can be read. */
const [BASE, LEAF, ALONE, LOST, OVER_LOST] = [vdi(1), vdi(2), vdi(3), vdi(4), vdi(5)];

/** A disk on a base copy, a disk for itself, and a base copy with a disk whose headers the device does not give. */
async function withLostDisk(work: (sr: OpenSr) => Promise<void>): Promise<void> {
  using loop = loopDevice(400 * MiB);
  await using sr = await openSrOn(loop.device, SR);
  await sr.lvm.createVg();
  await add(sr, BASE);
  await add(sr, LEAF, BASE);
  await add(sr, ALONE);
  // Before the volumes that are lost, so that it can be read.
  await sr.lvm.createLv(`inflate_${LOST}_8388608`, 4 * MiB, { tag: 'journaler' });
  await sr.lvm.createLv(`inflate_${ALONE}_8388608`, 4 * MiB, { tag: 'journaler' });
  await add(sr, LOST);
  await sr.lvm.growLv(lvName('vhd', LOST), 12 * MiB);
  const lost = (await sr.report()).lvs.find(({ name }) => name === lvName('vhd', LOST));
  makeUnreadable(loop, lost?.segments[0]?.pvOffsetBytes ?? 0);
  await work(sr);
}

async function add(sr: OpenSr, uuid: typeof BASE, parent?: typeof BASE): Promise<void> {
  const name = lvName('vhd', uuid);
  await sr.lvm.createLv(name, 8 * MiB);
  const vhd = { virtualSizeBytes: 2 * MiB, uuid, timestamp: 0 };
  const io = await sr.openLv(name, 'write');
  if (parent === undefined) await createVhd(io, vhd);
  else await createChild(io, vhd, { name: lvName('vhd', parent), uuid: parent, modified: 0 });
}

/** Counts the reads that reach a device. */
function counting(io: BlockIo): BlockIo & { reads: number } {
  const counted = {
    name: io.name,
    size: io.size,
    reads: 0,
    read: (offset: number, length: number) => {
      counted.reads += 1;
      return io.read(offset, length);
    },
    write: io.write.bind(io),
    flush: io.flush.bind(io),
    close: io.close.bind(io),
  };
  return counted;
}

test('a header that cannot be read is the scan error of its own node', async () => {
  await withLostDisk(async (sr) => {
    const tree = new VdiTree(await readVdiNodes(await sr.report(), sr.pvIo));
    expect(tree.unreadable().map(({ uuid, scanError }) => [uuid, scanError?.code])).toEqual([[LOST, 'io']]);
    expect(tree.chain(LEAF).map(({ uuid }) => uuid)).toEqual([LEAF, BASE]);
    expect(() => tree.get(LOST)).toThrow(/VDI .* cannot be read: read of .* failed: EIO/);
  });
});

test('using a disk reads the headers of its chain and no others', async () => {
  await withLostDisk(async (sr) => {
    const pv = counting(sr.pvIo);
    const nodes = await readChainNodes(await sr.report(), pv, LEAF);
    expect(new VdiTree(nodes).chain(LEAF).map(({ uuid }) => uuid)).toEqual([LEAF, BASE]);
    expect([nodes.length, pv.reads]).toEqual([2, 2]);
  });
});

test('of a chain with an unreadable node the part above it is known', async () => {
  await withLostDisk(async (sr) => {
    await sr.lvm.renameLv(lvName('vhd', BASE), 'set-aside');
    await sr.lvm.renameLv(lvName('vhd', LOST), lvName('vhd', BASE));
    const tree = new VdiTree(await readChainNodes(await sr.report(), sr.pvIo, LEAF));
    expect(() => tree.chain(LEAF)).toThrow(expect.objectContaining({ code: 'io' }));
    expect(tree.knownChain(LEAF).map(({ uuid }) => uuid)).toEqual([LEAF, BASE]);
    expect(new VdiTree(await readChainNodes(await sr.report(), sr.pvIo, OVER_LOST)).knownChain(OVER_LOST)).toEqual([]);
  });
});

test('a hidden disk is not deleted while a disk that may hang on it cannot be read', async () => {
  await withLostDisk(async (sr) => {
    const tree = new VdiTree(await readVdiNodes(await sr.report(), sr.pvIo));
    expect(() => checkDeletable({ ...tree.get(ALONE), hidden: true }, tree)).toThrow(
      expect.objectContaining({ code: 'vdi-delete', message: expect.stringContaining(LOST) }),
    );
    expect(() => checkDeletable(tree.get(ALONE), tree)).not.toThrow();
  });
});

test('nor is one that cannot be read itself, unless it is known for a disk of a user', async () => {
  await withLostDisk(async (sr) => {
    const nodes = await readVdiNodes(await sr.report(), sr.pvIo);
    const [lost] = new VdiTree(nodes).unreadable();
    if (lost === undefined) throw new RangeError('nothing is unreadable');
    const tree = new VdiTree([...nodes, { ...lost, uuid: OVER_LOST, lvName: lvName('vhd', OVER_LOST) }]);
    expect(() => checkDeletable(lost, tree)).toThrow(
      expect.objectContaining({ code: 'vdi-delete', message: expect.stringContaining(OVER_LOST) }),
    );
    expect(() => checkDeletable(lost, tree, { isUsers: true })).not.toThrow();
    expect(() => checkDeletable(lost, new VdiTree(nodes))).not.toThrow();
  });
});

test('its interrupted growing stays interrupted, and holds up nobody else', async () => {
  await withLostDisk(async (sr) => {
    const done = await recoverJournals({ ...sr, refreshElsewhere: async () => undefined }, await sr.report());
    // The first step, a write, makes the file of the device longer: what follows reads zeroes.
    expect(done.map(({ vdi: uuid, failure }) => [uuid, failure?.code])).toEqual([
      [ALONE, undefined],
      [LOST, 'vhd-corrupt'],
    ]);
    expect((await sr.report()).lvs.map(({ name }) => name).filter((name) => name.startsWith('inflate_'))).toEqual([
      `inflate_${LOST}_8388608`,
    ]);
  });
});

test('any other failure ends the reading at once, and leaves no read behind', async () => {
  await withLostDisk(async (sr) => {
    const pv = counting(sr.pvIo);
    let running = 0;
    const broken: BlockIo = {
      ...pv,
      read: async (offset, length) => {
        running += 1;
        try {
          const bytes = await pv.read(offset, length);
          throw new Error(`after ${bytes.length} bytes`);
        } finally {
          running -= 1;
        }
      },
    };
    const report = await sr.report();
    const many = { ...report, lvs: Array.from({ length: 40 }, () => report.lvs).flat() };
    await expect(readVdiNodes(many, broken)).rejects.toThrow(/after 1536 bytes/);
    expect(running).toBe(0);
    expect(pv.reads).toBeLessThanOrEqual(64);
  });
});
