import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import { lvName } from '../../../src/lvhd/names.ts';
import { recoverJournals } from '../../../src/lvhd/journal/recover.ts';
import { fullVhdLvSize } from '../../../src/lvhd/sizes.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { unfinishedVolumes } from '../../../src/lvhd/ops/vdi-create.ts';
import { checkDeletable, hideVdi } from '../../../src/lvhd/ops/vdi-delete.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { childProgram } from '../../support/lvhd-child.ts';
import type { ChildProgram } from '../../support/lvhd-child.ts';
import { loopDevice } from '../../support/lvhd-loop.ts';
import { openSrOn } from '../../support/lvhd-vectors.ts';
import type { OpenSr } from '../../support/lvhd-vectors.ts';

const SR = '5a1c7f00-1111-4222-8333-0123456789ab';
const VDI = vdiUuid('0d15c000-1111-4222-8333-0123456789ab');
const SIZE = 64 * MiB;

let child: ChildProgram | undefined;
beforeAll(async () => {
  child = await childProgram(`${import.meta.dirname}/vdi-child.ts`);
});
afterAll(() => child?.[Symbol.dispose]());

function run(args: readonly string[], fault?: string) {
  if (child === undefined) throw new Error('no child program');
  return child.run(args, fault === undefined ? {} : { RBDSR_FAULT: fault });
}

async function withSr(work: (device: string, sr: OpenSr) => Promise<void>): Promise<void> {
  using loop = loopDevice(400 * MiB);
  await using sr = await openSrOn(loop.device, SR);
  await sr.lvm.createVg();
  await work(loop.device, sr);
}

async function treeOf(sr: OpenSr): Promise<VdiTree> {
  return new VdiTree(await readVdiNodes(await sr.report(), sr.pvIo));
}

async function expectSound(sr: OpenSr): Promise<void> {
  expect(await checkVhd(await sr.openLv(lvName('vhd', VDI), 'read'))).toEqual([]);
}

describe('making a disk', () => {
  it.each([
    ['vhd', 'thick', fullVhdLvSize(SIZE)],
    ['vhd', 'thin', 8 * MiB],
    ['aio', 'thick', SIZE],
  ] as const)('%s, %s', async (kind, allocation, lvBytes) => {
    await withSr(async (device, sr) => {
      expect(await run([device, SR, 'create', VDI, kind, String(SIZE), allocation])).toMatchObject({ code: 0 });
      const tree = await treeOf(sr);
      expect(tree.get(VDI)).toMatchObject({ kind, virtualSizeBytes: SIZE, lvSizeBytes: lvBytes, hidden: false });
      expect((await sr.report()).lvs).toHaveLength(1);
      if (kind === 'vhd') await expectSound(sr);
    });
  });

  it('a raw disk shows no partition table of the disk that lay there before', async () => {
    await withSr(async (device, sr) => {
      const create = [device, SR, 'create', VDI, 'aio', String(SIZE)];
      expect(await run(create)).toMatchObject({ code: 0 });
      const ends = [0, SIZE - MiB];
      const before = await sr.openLv(lvName('aio', VDI), 'write');
      for (const at of ends) await before.write(at, Buffer.alloc(MiB, 0x55));
      await before.flush();
      await sr.lvm.removeLv(lvName('aio', VDI));
      expect(await run(create)).toMatchObject({ code: 0 });
      const now = await sr.openLv(lvName('aio', VDI), 'read');
      for (const at of ends) expect((await now.read(at, MiB)).every((byte) => byte === 0)).toBe(true);
    });
  });

  it.each(['vdi-create.after-lv', 'vdi-create.after-vhd'])('killed at %s leaves no disk', async (fault) => {
    await withSr(async (device, sr) => {
      expect(await run([device, SR, 'create', VDI, 'vhd', String(SIZE)], fault)).toMatchObject({ signal: 'SIGKILL' });
      expect((await treeOf(sr)).nodes).toEqual([]);
      const left = unfinishedVolumes(await sr.report());
      expect(left).toHaveLength(1);
      for (const { name } of left) await sr.lvm.removeLv(name);
      expect(await run([device, SR, 'create', VDI, 'vhd', String(SIZE)])).toMatchObject({ code: 0 });
      await expectSound(sr);
    });
  });

  it('killed at vdi-create.after-volume leaves a whole disk', async () => {
    await withSr(async (device, sr) => {
      const end = await run([device, SR, 'create', VDI, 'vhd', String(SIZE)], 'vdi-create.after-volume');
      expect(end).toMatchObject({ signal: 'SIGKILL' });
      expect((await treeOf(sr)).visible()).toHaveLength(1);
      await expectSound(sr);
    });
  });

  it.each(['vdi-create.after-lv!error', 'vdi-create.after-vhd!error', 'vdi-create.after-volume!error'])(
    'a failure at %s removes the volume',
    async (fault) => {
      await withSr(async (device, sr) => {
        expect(await run([device, SR, 'create', VDI, 'vhd', String(SIZE)], fault)).toMatchObject({ code: 1 });
        expect((await sr.report()).lvs).toEqual([]);
      });
    },
  );
});

describe('growing a disk', () => {
  const LARGER = 2 * SIZE;
  it.each(['thick', 'thin'])('%s', async (allocation) => {
    await withSr(async (device, sr) => {
      await run([device, SR, 'create', VDI, 'vhd', String(SIZE), allocation]);
      expect(await run([device, SR, 'resize', VDI, 'vhd', String(LARGER), allocation])).toMatchObject({ code: 0 });
      const lvSizeBytes = allocation === 'thick' ? fullVhdLvSize(LARGER) : 8 * MiB;
      expect((await treeOf(sr)).get(VDI)).toMatchObject({ virtualSizeBytes: LARGER, lvSizeBytes });
      expect(listJournals(await sr.report())).toEqual([]);
      await expectSound(sr);
    });
  });

  it.each([
    'inflate.journal-created',
    'inflate.resized',
    'inflate.zeroed',
    'inflate.footer-written',
    'vdi-resize.after-lv',
    'vdi-resize.after-vhd',
  ])('killed at %s and done again after recovery', async (fault) => {
    await withSr(async (device, sr) => {
      await run([device, SR, 'create', VDI, 'vhd', String(SIZE)]);
      const end = await run([device, SR, 'resize', VDI, 'vhd', String(LARGER)], fault);
      expect(end).toMatchObject({ signal: 'SIGKILL' });
      await recoverJournals({ ...sr, refreshElsewhere: async () => undefined }, await sr.report());
      await expectSound(sr);
      expect(await run([device, SR, 'resize', VDI, 'vhd', String(LARGER)])).toMatchObject({ code: 0 });
      expect((await treeOf(sr)).get(VDI)).toMatchObject({
        virtualSizeBytes: LARGER,
        lvSizeBytes: fullVhdLvSize(LARGER),
      });
      await expectSound(sr);
    });
  });
});

describe('deleting a disk', () => {
  it.each(['vhd', 'aio'] as const)('%s: hidden, no scan shows it', async (kind) => {
    await withSr(async (device, sr) => {
      await run([device, SR, 'create', VDI, kind, String(SIZE)]);
      const world = { lvm: sr.lvm, openPv: (mode: 'read' | 'write') => openBlockIo(device, mode) };
      const before = await treeOf(sr);
      checkDeletable(before.get(VDI), before);
      await hideVdi(world, await sr.report(), before.get(VDI));
      const hidden = await treeOf(sr);
      expect(hidden.visible()).toEqual([]);
      if (kind === 'vhd') await expectSound(sr);
      await hideVdi(world, await sr.report(), hidden.get(VDI));
      await sr.lvm.removeLv(lvName(kind, VDI));
      expect((await sr.report()).lvs).toEqual([]);
    });
  });
});
