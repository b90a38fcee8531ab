import type { Volumes } from '../volumes.ts';
import { RbdsrError } from '../../base/error.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { lastStep, type Mending, type Step, step } from '../../base/steps.ts';
import { formatBytes, SECTOR } from '../../base/units.ts';
import { lvNamed, type LvReport, type VgReport } from '../../lvm/report.ts';
import { runSteps } from '../../system/running-steps.ts';
import type { JournalEntry } from '../journal/journal.ts';
import { createJournal, removeJournal } from '../journal/journals.ts';
import { lvName } from '../names.ts';
import { openVhd, withVhd } from '../open-vhd.ts';
import { deflatedLvSize, lvSize, SMALL_LV_SIZE } from '../sizes.ts';

/** The change of one volume's size. */
interface Sizing {
  readonly world: Volumes;
  readonly report: VgReport;
  readonly vdi: VdiUuid;
  /** As it is now. */
  lv: LvReport;
  /** Bytes it is to have. */
  readonly target: number;
  journal?: JournalEntry;
}

/**
 * Grows the LV of a VHD to hold `bytes` (rounded up to 4 MiB); nothing to do where it is as large. True when it grew.
 * 'sr-full' before anything is written. The caller holds the SR lock and has made the LV writable. As sm
 * `lvhdutil.inflate`; `undoInflate` undoes every step. No guest writes before the end, so nothing is lost by it.
 */
export async function inflate(world: Volumes, report: VgReport, vdi: VdiUuid, bytes: number): Promise<boolean> {
  const lv = vhdLv(report, vdi);
  const target = lvSize(bytes);
  if (target <= lv.sizeBytes) return false;
  refuseWithoutRoom(report, target - lv.sizeBytes + SMALL_LV_SIZE, `growing ${lv.name} to ${formatBytes(target)}`);
  await runSteps(inflateSteps, { world, report, vdi, lv, target });
  return true;
}

/**
 * Shrinks the LV of a VHD to `bytes` (rounded up to 4 MiB); nothing to do where it is no larger. True when it shrank.
 * No journal: after its first step the VHD is valid at both sizes. 'vhd-corrupt' where its data does not fit, before
 * anything is written.
 */
export async function deflate(world: Volumes, report: VgReport, vdi: VdiUuid, bytes: number): Promise<boolean> {
  return (await deflatedLv(world, report, vdi, bytes)) !== undefined;
}

/** The same; answers the LV as it is then, undefined where it did not shrink. */
export async function deflatedLv(
  world: Volumes,
  report: VgReport,
  vdi: VdiUuid,
  bytes: number,
): Promise<LvReport | undefined> {
  const lv = vhdLv(report, vdi);
  const target = lvSize(bytes);
  if (target >= lv.sizeBytes) return undefined;
  const sizing: Sizing = { world, report, vdi, lv, target };
  await runSteps(deflateSteps, sizing);
  return sizing.lv;
}

/** Bytes of a volume that holds what the VHD has by now: what `deflate` is told. */
export function deflatedSize({ openLv }: Volumes, report: VgReport, vdi: VdiUuid): Promise<number> {
  return withVhd(openLv, vhdLv(report, vdi), 'read', ({ physicalSizeBytes }) => deflatedLvSize(physicalSizeBytes));
}

/**
 * Undoes the inflate of `vdi` from a size of `journalledBytes`, whichever step it reached; safe to be cut short and run
 * again. The caller refreshes the LV on other hosts and then removes the journal. True when the LV changed its size.
 */
export async function undoInflate(
  world: Volumes,
  report: VgReport,
  vdi: VdiUuid,
  journalledBytes: number,
): Promise<boolean> {
  const sizing = { world, report, vdi, lv: vhdLv(report, vdi), target: lvSize(journalledBytes) };
  const grown = isLarger(sizing);
  await runSteps(undoInflateSteps, sizing);
  return grown;
}

const undone: Mending = {
  by: ['sr_scan', 'again'],
  says: 'the next command on the SR master that changes metadata undoes it',
};
const goesOn: Mending = { by: ['sr_scan'], says: 'the next command on the SR master that changes metadata goes on' };

export const inflateSteps: readonly Step<Sizing>[] = [
  step('inflate.journal-created', noteSize, {
    does: 'journal LV `inflate_<vdi>_<old size>`',
    leaves: { id: 'journal-only', says: 'the journal; nothing else has changed' },
    mendedBy: undone,
  }),
  step('inflate.resized', grow, {
    does: '`lvresize`',
    leaves: {
      id: 'grown-over-old-data',
      says: 'the end footer in the middle, old data at the end, a valid footer at times: the copy at byte 0 counts',
    },
    mendedBy: undone,
  }),
  step('inflate.zeroed', zeroLastSector, {
    does: 'the last sector is zeroed',
    leaves: { id: 'grown-without-end', says: 'no footer at the end: readers take the copy at byte 0' },
    mendedBy: undone,
  }),
  step('inflate.footer-written', moveFooter, {
    does: 'footer at the new end',
    leaves: { id: 'grown-journalled', says: 'a valid, grown VHD that the journal still asks to undo' },
    mendedBy: undone,
  }),
  lastStep(forgetSize, 'the journal is removed'),
];

const footerAtOldEnd = step('deflate.footer-written', moveFooter, {
  does: 'footer at the old end',
  leaves: { id: 'grown-without-end', says: 'the same; a VHD that is valid at the old size' },
  mendedBy: goesOn,
  when: isLarger,
});

const deflateSteps: readonly Step<Sizing>[] = [footerAtOldEnd, lastStep(shrink, '`lvresize`')];

export const undoInflateSteps: readonly Step<Sizing>[] = [
  step('undo-inflate.writable', makeWritable, {
    does: 'the volume is made writable, where it is not',
    leaves: { id: 'grown-journalled', says: 'what the growing has left' },
    mendedBy: goesOn,
  }),
  step('undo-inflate.zeroed', zeroLastSector, {
    does: 'the last sector is zeroed, where it has grown',
    leaves: { id: 'grown-without-end', says: 'no footer at the end: readers take the copy at byte 0' },
    mendedBy: goesOn,
    when: isLarger,
  }),
  footerAtOldEnd,
  step('undo-inflate.resized', shrink, {
    does: '`lvresize`',
    leaves: { id: 'journal-only', says: 'the journal, and a volume of its old size' },
    mendedBy: goesOn,
  }),
  lastStep(makeReadOnly, 'the volume is made read-only, where it was; the journal is removed'),
];

function isLarger({ lv, target }: Sizing): boolean {
  return lv.sizeBytes > target;
}

async function noteSize(sizing: Sizing): Promise<void> {
  const { world, report, vdi, lv } = sizing;
  const journal = { type: 'inflate', id: vdi, value: String(lv.sizeBytes) };
  sizing.journal = await createJournal(world.lvm, report, world.openLv, journal);
}

async function grow(sizing: Sizing): Promise<void> {
  const { world, report, lv, target } = sizing;
  sizing.lv = await world.lvm.growLv(lv.name, target, report);
}

async function forgetSize({ world, journal }: Sizing): Promise<void> {
  if (journal !== undefined) await removeJournal(world.lvm, journal);
}

async function makeWritable({ world, lv }: Sizing): Promise<void> {
  if (lv.readOnly) await world.lvm.setPermission(lv.name, 'rw');
}

async function makeReadOnly({ world, lv }: Sizing): Promise<void> {
  if (lv.readOnly) await world.lvm.setPermission(lv.name, 'r');
}

async function shrink(sizing: Sizing): Promise<void> {
  const { world, report, lv, target } = sizing;
  if (isLarger(sizing)) sizing.lv = await world.lvm.shrinkLv(lv.name, target, report);
}

async function zeroLastSector({ world, lv }: Sizing): Promise<void> {
  const io = await world.openLv(lv.name, 'write', lv);
  try {
    await io.write(io.size - SECTOR, Buffer.alloc(SECTOR));
    await io.flush();
  } finally {
    await io.close();
  }
}

/** `vhd-util modify -s`: the footer in the last sector of a device of the wanted size, which must hold all data. */
async function moveFooter({ world, lv, target }: Sizing): Promise<void> {
  const io = await world.openLv(lv.name, 'write', lv);
  try {
    const image = await openVhd(io, 'write');
    if (image.physicalSizeBytes > target) {
      throw new RbdsrError('vhd-corrupt', {
        what: `the data of ${lv.name} ends behind the size its volume is to get`,
        expected: `at most ${target} bytes`,
        found: `${image.physicalSizeBytes} bytes`,
      });
    }
    await image.writeFooterAt(target);
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
  const lv = lvNamed(report, name);
  if (lv === undefined)
    throw new RbdsrError('vdi-missing', { what: `there is no logical volume ${name} in ${report.name}` });
  return lv;
}
