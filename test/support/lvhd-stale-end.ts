import { MiB } from '../../src/base/units.ts';
import type { LvReport } from '../../src/lvm/report.ts';
import { FOOTER_BYTES } from '../../src/vhd/format/footer.ts';
import type { OpenSr } from './lvhd-vectors.ts';

/**
 * Puts `footer` into the free sector where `lvName` will end once it has been inflated to `bytes`, as a disk that was
 * deleted leaves it. Where that is LVM says itself: the volume is grown beside a journal, and made small again.
 */
export async function leaveStaleEnd(sr: OpenSr, lvName: string, bytes: number, footer: Buffer): Promise<void> {
  const before = await volume(sr, lvName);
  await sr.lvm.createLv('journal-to-be', 4 * MiB);
  await sr.lvm.growLv(lvName, bytes);
  const io = await sr.openLv(lvName, 'write');
  await io.write(bytes - FOOTER_BYTES, footer);
  await io.flush();
  await sr.lvm.shrinkLv(lvName, before.sizeBytes);
  await sr.lvm.removeLv('journal-to-be');
}

/** The last sector of a volume. */
export async function endOf(sr: OpenSr, lvName: string): Promise<Buffer> {
  const io = await sr.openLv(lvName, 'read');
  return io.read(io.size - FOOTER_BYTES, FOOTER_BYTES);
}

async function volume(sr: OpenSr, lvName: string): Promise<LvReport> {
  const lv = (await sr.report()).lvs.find(({ name }) => name === lvName);
  if (lv === undefined) throw new Error(`no LV ${lvName}`);
  return lv;
}
