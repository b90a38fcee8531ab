import { RbdsrError } from '../../base/error.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { formatBytes, SECTOR } from '../../base/units.ts';
import type { Lvm } from '../../lvm/lvm.ts';
import type { LvReport, VgReport } from '../../lvm/report.ts';
import { faultPoint } from '../../system/fault-point.ts';
import { createJournal, removeJournal } from '../journal/journals.ts';
import type { OpenLv } from '../journal/journals.ts';
import { lvName } from '../names.ts';
import { openVhd } from '../open-vhd.ts';
import { lvSize, SMALL_LV_SIZE } from '../sizes.ts';

/** What growing and shrinking the LV of a VHD needs. */
export interface InflateWorld {
  readonly lvm: Lvm;
  readonly openLv: OpenLv;
}

/**
 * Grows the LV of a VHD to hold `bytes` (rounded up to 4 MiB); nothing to do where it is as large. True when it grew.
 * 'sr-full' before anything is written. The caller holds the SR lock and has made the LV writable. Steps, each on disk
 * before the next (sm `lvhdutil.inflate`, docs/recovery.md):
 *
 * | step | a cut after it leaves |
 * |---|---|
 * | `inflate.journal-created`: journal `inflate_<vdi>_<old size>` | the journal; nothing else changed |
 * | `inflate.resized`: the LV has its new size | the end footer is in the middle; at the end stale data, even a valid
 * footer: the copy counts |
 * | `inflate.zeroed`: the last sector is zero | no footer at the end: readers take the copy at offset 0 |
 * | `inflate.footer-written`: footer at the new end | a valid, grown VHD; the journal still asks to undo it |
 * | the journal is removed | done |
 *
 * `undoInflate` undoes every one of them. No guest writes before the end, so nothing is lost by it.
 */
export async function inflate(world: InflateWorld, report: VgReport, vdi: VdiUuid, bytes: number): Promise<boolean> {
  const { lvm, openLv } = world;
  const lv = vhdLv(report, vdi);
  const target = lvSize(bytes);
  if (target <= lv.sizeBytes) return false;
  refuseWithoutRoom(report, target - lv.sizeBytes + SMALL_LV_SIZE, `growing ${lv.name} to ${formatBytes(target)}`);
  const journal = await createJournal(lvm, report, openLv, { type: 'inflate', id: vdi, value: String(lv.sizeBytes) });
  faultPoint('inflate.journal-created');
  const grown = await lvm.growLv(lv.name, target);
  faultPoint('inflate.resized');
  await zeroLastSector(openLv, grown);
  faultPoint('inflate.zeroed');
  await moveFooter(openLv, grown, target);
  faultPoint('inflate.footer-written');
  await removeJournal(lvm, journal);
  return true;
}

/**
 * Shrinks the LV of a VHD to `bytes` (rounded up to 4 MiB); nothing to do where it is no larger. True when it shrank.
 * No journal: after `deflate.footer-written` the VHD is valid at both sizes. 'vhd-corrupt' where its data does not fit,
 * before anything is written.
 */
export async function deflate(world: InflateWorld, report: VgReport, vdi: VdiUuid, bytes: number): Promise<boolean> {
  const lv = vhdLv(report, vdi);
  const target = lvSize(bytes);
  if (target >= lv.sizeBytes) return false;
  await shrink(world, lv, target);
  return true;
}

/**
 * Undoes the inflate of `vdi` from a size of `journalledBytes`, whichever step it reached; safe to be cut short and run
 * again. The caller refreshes the LV on other hosts and then removes the journal. True when the LV changed its size.
 */
export async function undoInflate(
  world: InflateWorld,
  report: VgReport,
  vdi: VdiUuid,
  journalledBytes: number,
): Promise<boolean> {
  const { lvm, openLv } = world;
  const lv = vhdLv(report, vdi);
  if (lv.readOnly) await lvm.setPermission(lv.name, 'rw');
  faultPoint('undo-inflate.writable');
  const target = lvSize(journalledBytes);
  const grown = lv.sizeBytes > target;
  if (grown) {
    await zeroLastSector(openLv, lv);
    faultPoint('undo-inflate.zeroed');
    await shrink(world, lv, target);
  }
  faultPoint('undo-inflate.resized');
  if (lv.readOnly) await lvm.setPermission(lv.name, 'r');
  return grown;
}

async function shrink({ lvm, openLv }: InflateWorld, lv: LvReport, target: number): Promise<void> {
  await moveFooter(openLv, lv, target);
  faultPoint('deflate.footer-written');
  await lvm.shrinkLv(lv.name, target);
}

async function zeroLastSector(openLv: OpenLv, lv: LvReport): Promise<void> {
  const io = await openLv(lv.name, 'write', lv);
  try {
    await io.write(io.size - SECTOR, Buffer.alloc(SECTOR));
    await io.flush();
  } finally {
    await io.close();
  }
}

/**
 * `vhd-util modify -s`: the footer in the last sector of a device of `deviceSize` bytes, which must lie behind all
 * data.
 */
async function moveFooter(openLv: OpenLv, lv: LvReport, deviceSize: number): Promise<void> {
  const io = await openLv(lv.name, 'write', lv);
  try {
    const image = await openVhd(io, 'write');
    if (image.physicalSizeBytes > deviceSize) {
      throw new RbdsrError('vhd-corrupt', {
        what: `the data of ${lv.name} ends behind the size its volume is to get`,
        expected: `at most ${deviceSize} bytes`,
        found: `${image.physicalSizeBytes} bytes`,
      });
    }
    await image.writeFooterAt(deviceSize);
    await io.flush();
  } finally {
    await io.close();
  }
}

/** Before the journal is written, so that a full SR has nothing to recover from. */
function refuseWithoutRoom(report: VgReport, wanted: number, what: string): void {
  if (report.freeBytes >= wanted) return;
  throw new RbdsrError('sr-full', {
    what: `there is no room for ${what}`,
    expected: `${formatBytes(wanted)} free in ${report.name}`,
    found: formatBytes(report.freeBytes),
    todo: 'Delete disks or grow the RBD image.',
  });
}

function vhdLv(report: VgReport, vdi: VdiUuid): LvReport {
  const name = lvName('vhd', vdi);
  const lv = report.lvs.find((entry) => entry.name === name);
  if (lv === undefined)
    throw new RbdsrError('vdi-missing', { what: `there is no logical volume ${name} in ${report.name}` });
  return lv;
}
