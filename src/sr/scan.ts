import { hasCode, RbdsrError } from '../base/error.ts';
import type { VdiUuid } from '../base/ids.ts';
import type { HostProfile } from '../dom0/host-profile.ts';
import { cbtLogOf, cbtLogs } from '../lvhd/cbt-log.ts';
import type { DrivenVdi } from '../lvhd/lv-table.ts';
import type { MetadataContent } from '../lvhd/metadata/metadata-volume.ts';
import type { VdiMetadata } from '../lvhd/metadata/record.ts';
import type { VdiTree } from '../lvhd/tree.ts';
import type { VgReport } from '../lvm/report.ts';
import type { Xapi } from '../xapi/client.ts';
import { planReconciliation, reconcile, type ReconcileStep } from '../xapi/reconcile.ts';
import type { StorageVdi } from '../xapi/storage-vdi.ts';
import { poolRefByUuid } from '../xapi/pool.ts';
import { type VdiRecord, vdisOfSr } from '../xapi/vdi.ts';
import type { AttachedSr } from './attached-sr.ts';
import { recoverIfMaster } from './recovered-sr.ts';
import { updateSrTotals } from './sr-totals.ts';
import { type SrNodes, withMetadata } from './read-sr.ts';
import { finishDeletions } from './finish-deletions.ts';
import { growVolumeGroup } from './grow-volume-group.ts';
import type { SrWork } from './work/work.ts';
import { type KindKeys, kindKeys } from './disk/vdi-kind.ts';
import { resumeLeftPaused } from './disk/paused.ts';
import { readDisks } from './read-disks.ts';
import type { StringMap } from '../xapi/values.ts';
import { isCollectable } from './collectable.ts';
import { wakeAtEnd } from './work/wake-at-end.ts';
import { activeHosts } from './hosts/host-keys.ts';
import { endRelinking } from './hosts/relinking-keys.ts';
import { withoutUnfinished } from './without-unfinished.ts';

/** What a command has read under the SR's lock before it scans; it says what may have changed. */
export interface KnownOfSr {
  readonly report?: VgReport | undefined;
  /** xapi's records of its disks. */
  readonly records?: readonly VdiRecord[] | undefined;
}

/**
 * Makes xapi's records say what is on the image: one LVM report, one batch of header reads, then only what differs.
 * Changes no record where a VHD cannot be read or an operation was interrupted that this release cannot finish. The
 * caller is the SR master and holds the SR lock.
 */
export async function scanSr(work: SrWork, sr: AttachedSr, known: KnownOfSr = {}): Promise<void> {
  const { srRef } = work.subject;
  if (srRef === undefined) throw new RbdsrError('bad-request', { what: 'a scan without sr_ref' });
  const { report, tree } = await readWhole(work, sr, known.report);
  refuseUnreadable(tree);
  nameForeign(work, sr, tree);
  const content = await metadataOf(work, sr, report);
  const xapi = await work.xapi();
  const records = known.records ?? (await vdisOfSr(xapi, srRef));
  await resumeLeftPaused(work, sr, records, report);
  const storage = storageVdis(tree, content?.vdis, work.profile, report);
  const plan = planReconciliation(records, storage).filter((step) => !isHeld(work, step, { report, tree }, records));
  work.waiting('xapi to take what the scan found');
  await forgetInMetadata(sr, report, plan, content);
  await reconcile(xapi, plan, {
    srRef,
    arity: work.profile.dbIntroduceArity,
    records,
    poolRef: (text) => metadataPool(xapi, text),
  });
  await endRelinking(work, records);
  const left = content === undefined ? report : await finishDeletions(work, sr, report, tree, records);
  const visible = tree.nodes.filter(({ hidden }) => !hidden);
  if (isCollectable(tree, report, records)) await wakeAtEnd(work);
  await updateSrTotals(work, left, { total: visible.reduce((sum, { lvSizeBytes }) => sum + lvSizeBytes, 0) });
}

/** Nothing but the report and the headers, unless the image has grown or an operation was cut short. */
async function readWhole(work: SrWork, sr: AttachedSr, known?: VgReport): Promise<SrNodes> {
  const first = await readDisks(work, sr, known);
  const grown = await growVolumeGroup(work, sr, first.report);
  const undone = await recoverIfMaster(work, sr, first.report);
  const report = await withoutUnfinished(sr, grown);
  // The volumes, and what their headers say.
  if (undone) return readDisks(work, sr);
  // No disk of the tree is another: it has none that is being made, and growing adds free extents alone.
  return { report, tree: first.tree };
}

function refuseUnreadable(tree: VdiTree): void {
  const [first, ...others] = tree.unreadable();
  if (first === undefined) return;
  throw new RbdsrError('vdi-unavailable', {
    what: `VDI ${first.uuid} cannot be read${others.length === 0 ? '' : `, nor can ${others.map(({ uuid }) => uuid).join(', ')}`}`,
    ...(first.scanError?.detail.expected === undefined ? {} : { expected: first.scanError.detail.expected }),
    found: first.scanError?.message ?? 'no header',
    todo: `No record was changed. Look at it with: rbdsr vhd check /dev/VG_XenStorage-.../${first.lvName}`,
    cause: first.scanError,
  });
}

function nameForeign(work: SrWork, sr: AttachedSr, tree: VdiTree): void {
  const names = tree.foreign().map(({ lvName }) => lvName);
  if (names.length === 0) return;
  const disks = `${names.length} disk${names.length === 1 ? '' : 's'}`;
  work.log.warn(
    `SR ${sr.uuid}: ${disks} of a format that RBDSR does not drive are left as they are: ${names.join(', ')}`,
  );
}

/** What the metadata volume says; undefined, with a warning, where it is damaged: names then come from xapi alone. */
async function metadataOf(work: SrWork, sr: AttachedSr, report: VgReport): Promise<MetadataContent | undefined> {
  try {
    return await withMetadata(sr, (mgt) => mgt.read(), report);
  } catch (error) {
    if (!hasCode(error, 'metadata-corrupt', 'lvm-missing')) throw error;
    work.log.warn(`SR ${sr.uuid}: ${error.message}. Mend it with: rbdsr mgt rebuild ${sr.uuid}`);
    return undefined;
  }
}

/**
 * The metadata volume has a reference, as xapi gave it to vdi_update (sm `VDI.update`); of another pool it may be a
 * uuid.
 */
async function metadataPool(xapi: Xapi, text: string): Promise<string | undefined> {
  return text.startsWith('OpaqueRef:') ? text : poolRefByUuid(xapi, text);
}

/**
 * The storage's side of the comparison; without `metadata` whether a disk may be written stays as xapi has it. Pure.
 */
export function storageVdis(
  tree: VdiTree,
  metadata: readonly VdiMetadata[] | undefined,
  profile: KindKeys & Pick<HostProfile, 'dbIntroduceArity'>,
  report: VgReport,
): StorageVdi[] {
  const names = new Map(metadata?.map((record) => [record.uuid, record]));
  const tracked = new Set(cbtLogs(report));
  const knowsTracking = profile.dbIntroduceArity === 19;
  return tree.visible().map((node) => {
    const isParent = tree.children(node.uuid).length > 0;
    const known = {
      isParent,
      metadata: names.get(node.uuid),
      isTracked: knowsTracking ? tracked.has(node.uuid) : undefined,
    };
    const vdi = storageVdi(node, known, kindKeys(node.kind, profile));
    if (metadata !== undefined || vdi.readOnly === true) return vdi;
    const { readOnly: _unknown, ...rest } = vdi;
    return rest;
  });
}

interface KnownOfNode {
  readonly isParent: boolean;
  readonly metadata: VdiMetadata | undefined;
  /** Undefined where xapi has no field for it. */
  readonly isTracked: boolean | undefined;
}

function storageVdi(node: DrivenVdi, { isParent, metadata, isTracked }: KnownOfNode, kind: StringMap): StorageVdi {
  return {
    uuid: node.uuid,
    virtualSize: node.virtualSizeBytes,
    physicalUtilisation: node.lvSizeBytes,
    readOnly: node.hidden || isParent || (metadata?.readOnly ?? false),
    managed: !node.hidden,
    smConfig: { ...kind, 'vhd-parent': node.parentUuid ?? null },
    ...(metadata === undefined ? {} : fromMetadata(metadata)),
    ...(isTracked === undefined ? {} : { cbtEnabled: isTracked }),
  };
}

function fromMetadata(metadata: VdiMetadata): Partial<StorageVdi> {
  const { isASnapshot, snapshotOf, snapshotTime, metadataOfPool } = metadata;
  return {
    nameLabel: metadata.nameLabel,
    nameDescription: metadata.nameDescription,
    type: metadata.type,
    isASnapshot,
    ...(snapshotTime === '' ? {} : { snapshotTime }),
    ...(snapshotOf === '' ? {} : { snapshotOf }),
    ...(metadata.type === 'metadata' && metadataOfPool !== '' ? { metadataOfPool } : {}),
  };
}

/**
 * Forgetting what is left of a disk to say what has changed since it (type cbt_metadata), while that is there; a disk
 * that only another driver drives, or a base copy on which one may hang; or a disk whose deletion was cut short while a
 * host has it active, as its mark says: then the record stays, for that host to unplug it by.
 */
function isHeld(work: SrWork, step: ReconcileStep, { report, tree }: SrNodes, records: readonly VdiRecord[]): boolean {
  if (step.kind !== 'forget') return false;
  const node = tree.find(step.uuid as VdiUuid);
  if (node === undefined) return cbtLogOf(report, step.uuid as VdiUuid) !== undefined;
  if (node.kind === 'foreign') return true;
  const record = records.find(({ ref }) => ref === step.ref);
  if (record?.managed === false && tree.foreign().length > 0) return true;
  const [host] = activeHosts(record?.smConfig ?? {});
  if (host === undefined) return false;
  work.log.warn(`VDI ${step.uuid} is half deleted, but active on host ${host}: it stays until it is unplugged there`);
  return true;
}

/** The metadata volume first: were xapi's record gone and this one left, the next scan would bring the disk back. */
async function forgetInMetadata(
  sr: AttachedSr,
  report: VgReport,
  plan: readonly ReconcileStep[],
  content: MetadataContent | undefined,
): Promise<void> {
  const gone = plan.flatMap((step) => (step.kind === 'forget' ? [step.uuid] : []));
  if (content === undefined || gone.length === 0) return;
  await withMetadata(
    sr,
    async (mgt) => {
      for (const uuid of gone) await mgt.delete(uuid);
    },
    report,
  );
}
