import { copyFileSync, constants } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { deflate, inflate } from '../../../src/lvhd/ops/inflate.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { readVdiNodes } from '../../../src/lvhd/lv-table.ts';
import { lvName } from '../../../src/lvhd/names.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { recoverJournals } from '../../../src/lvhd/journal/recover.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { hideVdi } from '../../../src/lvhd/ops/vdi-delete.ts';
import { resizeVolume } from '../../../src/lvhd/ops/vdi-resize.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import {
  decodeFooter,
  encodeFooter,
  type Footer,
  FOOTER_BYTES,
  resizedFooter,
} from '../../../src/vhd/format/footer.ts';
import { childProgram } from '../../support/lvhd-child.ts';
import type { ChildProgram } from '../../support/lvhd-child.ts';
import { attachLoop, type LoopDevice } from '../../support/lvhd-loop.ts';
import { endOf, leaveStaleEnd } from '../../support/lvhd-stale-end.ts';
import { openFrom, openSr, openSrOn, sha256Of, unpackVectors, vectorImages } from '../../support/lvhd-vectors.ts';
import type { OpenSr, VectorImage } from '../../support/lvhd-vectors.ts';

const ARCHIVE = 'interrupted-clone';
const images = vectorImages(ARCHIVE);
const inflates = Object.entries(images).filter(([name]) => name.startsWith('inflate-'));
const base = images['pre-clone'];
if (base === undefined) throw new Error('no pre-clone image');

let unpacked: ReturnType<typeof unpackVectors> | undefined;
let child: ChildProgram | undefined;
beforeAll(async () => {
  unpacked = unpackVectors(ARCHIVE, ['pre-clone.img', ...inflates.map(([, image]) => image.file)]);
  child = await childProgram(`${import.meta.dirname}/inflate-child.ts`);
});
afterAll(() => {
  unpacked?.[Symbol.dispose]();
  child?.[Symbol.dispose]();
});
const pathOf = (file: string): string => `${unpacked?.folder ?? ''}/${file}`;

/** A fresh copy of an image, so that each test starts from what the archive holds. */
function copyOf(file: string): string {
  const copy = pathOf('copy.img');
  copyFileSync(pathOf(file), copy, constants.COPYFILE_FICLONE);
  return copy;
}

function runChild(args: readonly string[], fault?: string) {
  if (child === undefined) throw new Error('no child program');
  return child.run(args, fault === undefined ? {} : { RBDSR_FAULT: fault });
}

/** What must hold at any time: every disk reads as it did. */
async function checkContent(
  sr: OpenSr,
  image: VectorImage,
  content: Readonly<Record<string, string>>,
): Promise<VdiTree> {
  const report = await sr.report();
  const tree = new VdiTree(await readVdiNodes(report, sr.pvIo));
  expect(tree.unreadable()).toEqual([]);
  const read: Record<string, string> = {};
  for (const name of Object.keys(content)) {
    const io = await openVdi(tree, vdiUuid(image.vdis[name] ?? ''), openFrom(report, sr.pvIo));
    read[name] = await sha256Of(io);
    await io.close();
  }
  expect(read).toEqual(content);
  return tree;
}

/** What must hold when nothing is left to do: every disk reads as it did, and each VHD is sound. */
async function checkSr(sr: OpenSr, image: VectorImage, content: Readonly<Record<string, string>>): Promise<void> {
  const tree = await checkContent(sr, image, content);
  const report = await sr.report();
  for (const node of tree.nodes.filter(({ kind }) => kind === 'vhd')) {
    const io = await openFrom(report, sr.pvIo)(node.lvName, 'read');
    expect(await checkVhd(io), node.lvName).toEqual([]);
  }
}

async function sizes(sr: OpenSr): Promise<Record<string, number>> {
  return Object.fromEntries((await sr.report()).lvs.map((lv) => [lv.name, lv.sizeBytes]));
}

const stockSizes = (lvs: Readonly<Record<string, { readonly size: number }>>): Record<string, number> =>
  Object.fromEntries(Object.entries(lvs).map(([name, lv]) => [name, lv.size]));

describe('the inflate journal', () => {
  it.each(inflates)('%s, left by the stock driver, is undone as stock undoes it', async (_name, image) => {
    await using sr = await openSr(copyOf(image.file), image.sr);
    const refreshed: string[] = [];
    const world = {
      lvm: sr.lvm,
      openLv: sr.openLv,
      refreshElsewhere: async (names: readonly string[]) => void refreshed.push(...names),
    };
    const before = await sr.report();
    const done = await recoverJournals(world, before);
    const vdi = image.vdis['x'];
    const grown = before.lvs.find((lv) => lv.name === `VHD-${vdi}`)?.sizeBytes !== 25_165_824;
    expect(done).toEqual([{ type: 'inflate', vdi, resized: grown }]);
    expect(refreshed).toEqual(grown ? [`VHD-${vdi}`] : []);
    expect(await sizes(sr)).toEqual(stockSizes(image.recovered?.state.lvs ?? {}));
    await checkSr(sr, image, image.content_before ?? {});
    expect(await recoverJournals(world, await sr.report())).toEqual([]);
  });
});

const VDI = vdiUuid(base.vdis['x'] ?? '');
const OLD_SIZE = 24 * MiB;
const NEW_SIZE = 48 * MiB;
const CONTENT = base.content ?? {};
const points = ['inflate.journal-created', 'inflate.resized', 'inflate.zeroed', 'inflate.footer-written'];
const undoPoints = ['undo-inflate.writable', 'undo-inflate.zeroed', 'deflate.footer-written', 'undo-inflate.resized'];

/** What may stand where the volume is going to end: valid footers, which do not count. */
const STALE_ENDS = {
  'of another VHD': (own: Footer): Footer => ({ ...own, uuid: 'f0f0f0f0-1111-4222-8333-0123456789ab' }),
  'of this one, when it was smaller and hidden': (own: Footer): Footer => ({
    ...resizedFooter(own, 2 * MiB),
    hidden: 1,
  }),
};

describe.each(Object.entries(STALE_ENDS))('growing over a valid end footer %s', (_name, stale) => {
  const name = lvName('vhd', VDI);
  const staleOf = async (sr: OpenSr): Promise<Buffer> => {
    const io = await sr.openLv(name, 'read');
    return encodeFooter(stale(decodeFooter(await io.read(0, FOOTER_BYTES), 0)));
  };
  const withStaleEnd = async (): Promise<LoopDevice> => {
    const loop = attachLoop(copyOf(base.file));
    await using sr = await openSrOn(loop.device, base.sr);
    await leaveStaleEnd(sr, name, NEW_SIZE, await staleOf(sr));
    return loop;
  };

  it('leaves no trace of it', async () => {
    using loop = await withStaleEnd();
    await using sr = await openSrOn(loop.device, base.sr);
    await inflate(sr, await sr.report(), VDI, NEW_SIZE);
    await checkSr(sr, base, CONTENT);
    await deflate(sr, await sr.report(), VDI, OLD_SIZE);
    await checkSr(sr, base, CONTENT);
  });

  it.each(points)('killed at %s: every disk is whole, before and after recovery', async (point) => {
    using loop = await withStaleEnd();
    const end = await runChild([loop.device, base.sr, VDI, 'inflate', String(NEW_SIZE)], point);
    expect(end).toMatchObject({ signal: 'SIGKILL' });
    await using sr = await openSrOn(loop.device, base.sr);
    if (point === 'inflate.resized') expect(await endOf(sr, name)).toEqual(await staleOf(sr));
    await checkContent(sr, base, CONTENT);
    await recoverJournals({ ...sr, refreshElsewhere: async () => undefined }, await sr.report());
    expect(await sizes(sr)).toEqual(stockSizes(base.state.lvs));
    await checkSr(sr, base, CONTENT);
  });

  it.each(undoPoints)('killed before anything is written there, recovery killed at %s', async (point) => {
    using loop = await withStaleEnd();
    await runChild([loop.device, base.sr, VDI, 'inflate', String(NEW_SIZE)], 'inflate.resized');
    expect(await runChild([loop.device, base.sr, VDI, 'recover'], point)).toMatchObject({ signal: 'SIGKILL' });
    await using sr = await openSrOn(loop.device, base.sr);
    await checkContent(sr, base, CONTENT);
    await recoverJournals({ ...sr, refreshElsewhere: async () => undefined }, await sr.report());
    expect(await sizes(sr)).toEqual(stockSizes(base.state.lvs));
    await checkSr(sr, base, CONTENT);
  });

  it('and where nobody undoes it, hiding, growing and shrinking the disk go by its own footer', async () => {
    using loop = await withStaleEnd();
    await using sr = await openSrOn(loop.device, base.sr);
    await sr.lvm.growLv(name, NEW_SIZE);
    await checkContent(sr, base, CONTENT);
    const openPv = (mode: 'read' | 'write') => openBlockIo(loop.device, mode);
    const node = async () => new VdiTree(await readVdiNodes(await sr.report(), sr.pvIo)).get(VDI);
    const virtualSizeBytes = (await node()).virtualSizeBytes + 2 * MiB;
    await resizeVolume({ lvm: sr.lvm, openPv }, await sr.report(), await node(), {
      virtualSizeBytes,
      lvSizeBytes: NEW_SIZE,
    });
    expect(await node()).toMatchObject({ hidden: false, virtualSizeBytes });
    expect(await checkVhd(await sr.openLv(name, 'read'))).toEqual([]);

    await (await sr.openLv(name, 'write')).write(NEW_SIZE - FOOTER_BYTES, await staleOf(sr));
    await hideVdi({ lvm: sr.lvm, openPv }, await sr.report(), await node());
    expect(await node()).toMatchObject({ hidden: true, virtualSizeBytes });
    expect(await checkVhd(await sr.openLv(name, 'read'))).toEqual([]);

    await (await sr.openLv(name, 'write')).write(NEW_SIZE - FOOTER_BYTES, await staleOf(sr));
    await deflate(sr, await sr.report(), VDI, OLD_SIZE);
    expect(await node()).toMatchObject({ hidden: true, virtualSizeBytes, lvSizeBytes: OLD_SIZE });
    expect(await checkVhd(await sr.openLv(name, 'read'))).toEqual([]);
  });
});

describe('inflate and deflate', () => {
  it('grow and shrink, and do nothing twice', async () => {
    await using sr = await openSr(copyOf(base.file), base.sr);
    expect(await inflate(sr, await sr.report(), VDI, NEW_SIZE - 5)).toBe(true);
    expect((await sizes(sr))[lvName('vhd', VDI)]).toBe(NEW_SIZE);
    expect(listJournals(await sr.report())).toEqual([]);
    expect(await inflate(sr, await sr.report(), VDI, NEW_SIZE)).toBe(false);
    await checkSr(sr, base, CONTENT);
    expect(await deflate(sr, await sr.report(), VDI, OLD_SIZE)).toBe(true);
    expect(await deflate(sr, await sr.report(), VDI, OLD_SIZE)).toBe(false);
    expect(await sizes(sr)).toEqual(stockSizes(base.state.lvs));
    await checkSr(sr, base, CONTENT);
  });

  it('deflate below the data is refused and changes nothing', async () => {
    await using sr = await openSr(copyOf(base.file), base.sr);
    await expect(deflate(sr, await sr.report(), VDI, 8 * MiB)).rejects.toMatchObject({ code: 'vhd-corrupt' });
    expect(await sizes(sr)).toEqual(stockSizes(base.state.lvs));
    await checkSr(sr, base, CONTENT);
  });

  it('a full volume group refuses before anything is written', async () => {
    await using sr = await openSr(copyOf(base.file), base.sr);
    await expect(inflate(sr, await sr.report(), VDI, 2048 * MiB)).rejects.toMatchObject({ code: 'sr-full' });
    expect(await sizes(sr)).toEqual(stockSizes(base.state.lvs));
  });

  it.each(points)('killed at %s: every disk is whole, before and after recovery', async (point) => {
    using loop = attachLoop(copyOf(base.file));
    const end = await runChild([loop.device, base.sr, VDI, 'inflate', String(NEW_SIZE)], point);
    expect(end).toMatchObject({ signal: 'SIGKILL' });
    await using sr = await openSrOn(loop.device, base.sr);
    expect(listJournals(await sr.report())).toMatchObject([{ type: 'inflate', id: VDI, value: String(OLD_SIZE) }]);
    await checkContent(sr, base, CONTENT);
    const world = { lvm: sr.lvm, openLv: sr.openLv, refreshElsewhere: async () => undefined };
    await recoverJournals(world, await sr.report());
    expect(await sizes(sr)).toEqual(stockSizes(base.state.lvs));
    await checkSr(sr, base, CONTENT);
  });

  it.each(undoPoints)('recovery killed at %s is finished by the next one', async (point) => {
    using loop = attachLoop(copyOf(base.file));
    expect(
      await runChild([loop.device, base.sr, VDI, 'inflate', String(NEW_SIZE)], 'inflate.footer-written'),
    ).toMatchObject({
      signal: 'SIGKILL',
    });
    expect(await runChild([loop.device, base.sr, VDI, 'recover'], point)).toMatchObject({ signal: 'SIGKILL' });
    expect(await runChild([loop.device, base.sr, VDI, 'recover'])).toEqual({ code: 0, signal: null, output: '' });
    await using sr = await openSrOn(loop.device, base.sr);
    expect(await sizes(sr)).toEqual(stockSizes(base.state.lvs));
    await checkSr(sr, base, CONTENT);
  });

  it('deflate killed between footer and resize leaves a valid VHD', async () => {
    using loop = attachLoop(copyOf(base.file));
    expect(await runChild([loop.device, base.sr, VDI, 'inflate', String(NEW_SIZE)])).toEqual({
      code: 0,
      signal: null,
      output: '',
    });
    expect(
      await runChild([loop.device, base.sr, VDI, 'deflate', String(OLD_SIZE)], 'deflate.footer-written'),
    ).toMatchObject({
      signal: 'SIGKILL',
    });
    await using sr = await openSrOn(loop.device, base.sr);
    expect(await deflate(sr, await sr.report(), VDI, OLD_SIZE)).toBe(true);
    await checkSr(sr, base, CONTENT);
  });
});
