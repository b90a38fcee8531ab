import { isUuid } from '../base/ids.ts';
import type { SrUuid, VdiUuid } from '../base/ids.ts';
import { splitDmName } from '../lvm/dm-name.ts';

/** Names of LVHD on disk (sm `LVHDSR`, `lvhdutil`): the stock driver finds everything by them, so they are exact. */
export const VG_PREFIX = 'VG_XenStorage-';
export const MGT_LV = 'MGT';
/** LV tags. */
export const JOURNAL_TAG = 'journaler';
export const RESIZE_JOURNAL_TAG = 'jvhd';
/** A raw VDI has no header to hold the hidden flag: its LV carries this tag. */
export const HIDDEN_TAG = 'hidden';
/**
 * On a hidden volume: it was a user's disk, and deleting it has begun. The stock driver heeds no tag that it does not
 * know.
 */
export const DELETED_TAG = 'rbdsr-deleted';
/** Between the type prefix and the uuid of a leaf that a leaf coalesce has set aside; scans skip it. */
export const OLD_MARK = 'OLD_';

export type VdiKind = 'vhd' | 'aio';
/** A disk of a format that only a newer stock driver drives: its volume and its records stay as they are. */
export type LvKind = VdiKind | 'foreign';
const PREFIX: Readonly<Record<VdiKind, string>> = { vhd: 'VHD-', aio: 'LV-' };

export function vgName(sr: SrUuid): string {
  return `${VG_PREFIX}${sr}`;
}

/** The SR's uuid, or undefined for a VG that is not an SR's. */
export function srOfVg(vg: string): SrUuid | undefined {
  const uuid = vg.startsWith(VG_PREFIX) ? vg.slice(VG_PREFIX.length) : '';
  return isUuid(uuid) ? (uuid as SrUuid) : undefined;
}

export function lvName(kind: VdiKind, vdi: VdiUuid): string {
  return `${PREFIX[kind]}${vdi}`;
}

export function oldLvName(kind: VdiKind, vdi: VdiUuid): string {
  return `${PREFIX[kind]}${OLD_MARK}${vdi}`;
}

/** Ends the name of a log of changed blocks. */
export const CBT_LOG = '.cbtlog';

export function cbtLogName(vdi: VdiUuid): string {
  return `${vdi}${CBT_LOG}`;
}

const UNFINISHED = 'new_';

/** Of a volume that is being made, a VDI's or an SR's MGT: neither we nor the stock driver take it for a VDI. */
export function unfinishedLvName(uuid: VdiUuid | SrUuid): string {
  return `${UNFINISHED}${uuid}`;
}

/** What a creation that was cut short has left. */
export function isUnfinished(lv: string): boolean {
  return lv.startsWith(UNFINISHED) && isUuid(lv.slice(UNFINISHED.length));
}

export interface VdiLv {
  readonly kind: LvKind;
  readonly uuid: VdiUuid;
  /** A leaf set aside by a leaf coalesce. */
  readonly old: boolean;
}

/**
 * The VDI an LV holds, or undefined for MGT, journals, logs and strangers. Every kind of disk has a prefix of its own,
 * `QCOW2-` since sm
 * 3.2.12-17 of XCP-ng (sm `lvmcowutil`); one that is not known is a disk all the same.
 */
export function vdiOfLv(name: string): VdiLv | undefined {
  const [, prefix = '', mark, uuid = ''] = LV_OF_VDI.exec(name) ?? [];
  if (!isUuid(uuid)) return undefined;
  const kind = (['vhd', 'aio'] as const).find((known) => PREFIX[known] === prefix) ?? 'foreign';
  return { kind, uuid: uuid as VdiUuid, old: mark !== undefined };
}

const LV_OF_VDI = new RegExp(`^([A-Z0-9]+-)(${OLD_MARK})?([0-9a-f-]{36})$`);

/** What the metadata volume calls the kind of the disk in an LV: `vhd`, `aio`, or as stock names it, `qcow2`. */
export function vdiTypeOfLv(name: string, kind: LvKind): string {
  return kind === 'foreign' ? name.slice(0, name.indexOf('-')).toLowerCase() : kind;
}

/**
 * sm `lvhdutil.extractUuid`: the VDI uuid inside an LV path, a bare LV name or a device-mapper name, or undefined.
 * "VHD-" is looked for first, as "LV-" may stand inside a name with it.
 */
export function extractUuid(path: string): string | undefined {
  const base = path.slice(path.lastIndexOf('/') + 1).trim();
  const name =
    base.startsWith(VG_PREFIX.replaceAll('-', '--')) || base.startsWith(VG_PREFIX) ? base.replaceAll('--', '-') : base;
  for (const kind of ['vhd', 'aio'] as const) {
    const at = name.lastIndexOf(PREFIX[kind]);
    if (at >= 0) return name.slice(at + PREFIX[kind].length).trim();
  }
  return undefined;
}

/**
 * The LV name in the parent-name field of a VHD header (sm `lvhdutil.py`, `extractUuid`): a device-mapper name, an LV
 * path or a bare LV name.
 */
export function parentLvName(parentName: string): string | undefined {
  const base = parentName.slice(parentName.lastIndexOf('/') + 1);
  const lv = splitDmName(base)?.lv ?? base;
  return vdiOfLv(lv) === undefined ? undefined : lv;
}
