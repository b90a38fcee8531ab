import { RbdsrError } from '../../base/error.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { dmName } from '../../lvm/dm-name.ts';
import { lvNamed, type LvReport, type VgReport } from '../../lvm/report.ts';
import type { NewParent } from '../../vhd/image/create-child.ts';
import { HIDDEN_TAG, type VdiKind } from '../names.ts';
import { openVhd } from '../open-vhd.ts';
import type { Volumes } from '../volumes.ts';
import { deflatedLv } from './inflate.ts';

/** A volume that becomes, or is no longer, the base of others. */
export interface BaseVolume {
  readonly uuid: VdiUuid;
  readonly kind: VdiKind;
  readonly lvName: string;
}

/** The report as it is after a rename that succeeded, without asking LVM again. Pure. */
export function renamedIn(report: VgReport, from: string, to: string): VgReport {
  return { ...report, lvs: report.lvs.map((lv) => (lv.name === from ? { ...lv, name: to } : lv)) };
}

/**
 * What children of this volume say of it: its device-mapper name, and the uuid in its footer (`vhd-util snapshot`).
 */
export async function asParent(
  volumes: Volumes,
  report: VgReport,
  { lvName, isRaw }: { readonly lvName: string; readonly isRaw: boolean },
): Promise<NewParent> {
  const parent = { name: dmName(volumes.lvm.vg, lvName), modified: new Date() };
  if (isRaw) return parent;
  const io = await volumes.openLv(lvName, 'read', volume(report, lvName));
  try {
    return { ...parent, uuid: (await openVhd(io, 'read')).footer.uuid };
  } finally {
    await io.close();
  }
}

/**
 * Gives back what the volume of a VHD does not need as a base: nobody writes to it any more. The report as it is then.
 */
export async function shrinkBase(
  volumes: Volumes,
  report: VgReport,
  { uuid }: BaseVolume,
  bytes: number,
): Promise<VgReport> {
  const shrunk = await deflatedLv(volumes, report, uuid, bytes);
  return shrunk === undefined ? report : replacedIn(report, shrunk);
}

/** Pure. */
function replacedIn(report: VgReport, lv: LvReport): VgReport {
  const freed = volume(report, lv.name).sizeBytes - lv.sizeBytes;
  const lvs = report.lvs.map((one) => (one.name === lv.name ? lv : one));
  return { ...report, freeBytes: report.freeBytes + freed, lvs };
}

/** The mark of a base: in both footers of a VHD, a tag of a raw volume. */
export async function setBase(
  { lvm, openLv }: Volumes,
  report: VgReport,
  { kind, lvName }: BaseVolume,
  hidden: boolean,
): Promise<void> {
  const lv = volume(report, lvName);
  if (kind === 'aio') {
    if (lv.tags.includes(HIDDEN_TAG) === hidden) return;
    await (hidden ? lvm.addTag(lvName, HIDDEN_TAG) : lvm.removeTag(lvName, HIDDEN_TAG));
    return;
  }
  const io = await openLv(lvName, 'write', lv);
  try {
    const image = await openVhd(io, 'write');
    if (image.hidden !== hidden) await image.setHidden(hidden);
  } finally {
    await io.close();
  }
}

function volume(report: VgReport, name: string): LvReport {
  const lv = lvNamed(report, name);
  if (lv === undefined)
    throw new RbdsrError('lvm-missing', { what: `there is no logical volume ${name} in ${report.name}` });
  return lv;
}
