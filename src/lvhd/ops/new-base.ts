import type { VdiUuid } from '../../base/ids.ts';
import { dmName } from '../../lvm/dm-name.ts';
import { existingLv, lvNamed, type LvReport, type VgReport } from '../../lvm/report.ts';
import type { NewParent } from '../../vhd/image/create-child.ts';
import type { VdiNode } from '../lv-table.ts';
import { HIDDEN_TAG, lvName, type VdiKind } from '../names.ts';
import { withVhd } from '../open-vhd.ts';
import type { Volumes } from '../volumes.ts';
import { deflatedLv, deflatedSize } from './inflate.ts';

/** A volume that becomes, or is no longer, the base of others. */
export interface BaseVolume {
  readonly uuid: VdiUuid;
  readonly kind: VdiKind;
  readonly lvName: string;
}

/** The volume of that name, a VHD or a raw one; not what a merge of a leaf has set aside. Pure. */
export function volumeOf(report: VgReport, uuid: VdiUuid): BaseVolume | undefined {
  const kinds: readonly VdiKind[] = ['vhd', 'aio'];
  const kind = kinds.find((one) => lvNamed(report, lvName(one, uuid)) !== undefined);
  return kind === undefined ? undefined : { uuid, kind, lvName: lvName(kind, uuid) };
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
  return withVhd(volumes.openLv, existingLv(report, lvName), 'read', ({ footer }) => ({
    ...parent,
    uuid: footer.uuid,
  }));
}

/**
 * Gives back what the volume of a VHD does not need as a base: nobody writes to it any more. The report as it is then.
 */
export async function shrinkBase(volumes: Volumes, report: VgReport, base: VdiUuid): Promise<VgReport> {
  const shrunk = await deflatedLv(volumes, report, base, await deflatedSize(volumes, report, base));
  return shrunk === undefined ? report : replacedIn(report, shrunk);
}

/** Pure. */
function replacedIn(report: VgReport, lv: LvReport): VgReport {
  const freed = existingLv(report, lv.name).sizeBytes - lv.sizeBytes;
  const lvs = report.lvs.map((one) => (one.name === lv.name ? lv : one));
  return { ...report, freeBytes: report.freeBytes + freed, lvs };
}

/** Whether scans show it as a disk: in both footers of a VHD, a tag of a raw volume. */
export async function setHidden(
  { lvm, openLv }: Volumes,
  report: VgReport,
  { kind, lvName }: Pick<VdiNode, 'kind' | 'lvName'>,
  hidden: boolean,
): Promise<void> {
  const lv = existingLv(report, lvName);
  if (kind === 'aio') {
    if (lv.tags.includes(HIDDEN_TAG) === hidden) return;
    await (hidden ? lvm.addTag(lvName, HIDDEN_TAG) : lvm.removeTag(lvName, HIDDEN_TAG));
    return;
  }
  await withVhd(openLv, lv, 'write', async (image) => {
    if (image.hidden !== hidden) await image.setHidden(hidden);
  });
}
