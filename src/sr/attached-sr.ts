import type { BlockIo } from '../base/block-io.ts';
import { messageOf, RbdsrError } from '../base/error.ts';
import type { SrUuid, VdiUuid } from '../base/ids.ts';
import { formatSpec, type ImageSpec } from '../ceph/image/image-spec.ts';
import type { Mapping } from '../ceph/krbd/mapping.ts';
import { openByExtents } from '../lvhd/extent-open.ts';
import { readChainNodes, readVdiNodes, type VdiNode } from '../lvhd/lv-table.ts';
import { MetadataVolume } from '../lvhd/metadata/metadata-volume.ts';
import { MGT_LV, vgName } from '../lvhd/names.ts';
import { recoverJournals } from '../lvhd/journal/recover.ts';
import { VdiTree } from '../lvhd/tree.ts';
import { extentIo } from '../lvm/extents.ts';
import { Lvm } from '../lvm/lvm.ts';
import type { VgReport } from '../lvm/report.ts';
import { openBlockIo } from '../system/io/block-device.ts';
import { setSrTotals, srVirtualAllocation } from '../xapi/sr.ts';
import { type AttachedRecord, readAttachedRecord } from './attached-record.ts';
import { srOf } from './work/subject.ts';
import type { SrWork } from './work/work.ts';
import { krbdOf } from './image/krbd-of-host.ts';
import { mapForCall } from './image/map-sr-image.ts';
import { serialiser } from '../dom0/lvm-lock.ts';
import { imageSpecOf, type SrConfig } from './config/sr-type.ts';

/** An SR whose image is mapped on this host, and what its commands need. */
export interface AttachedSr {
  readonly uuid: SrUuid;
  readonly vg: string;
  readonly spec: ImageSpec;
  readonly mapping: Mapping;
  readonly allocation: 'thick' | 'thin';
  /** Writable only for the SR master with an sr_ref (docs/architecture.md, safety rules). */
  readonly lvm: Lvm;
  readonly openPv: (mode: 'read' | 'write') => Promise<BlockIo>;
}

/**
 * The SR of the call as sr_attach left it: no network, no xapi, no program. 'sr-unavailable' when it is not attached on
 * this host or its image is no longer mapped.
 */
export async function openAttachedSr(work: SrWork): Promise<AttachedSr> {
  const uuid = srOf(work);
  const record = readAttachedRecord(work.profile.paths, uuid);
  if (record === undefined) throw unavailable(uuid, 'is not attached on this host', 'Plug its PBD: xe pbd-plug.');
  const mapping = krbdOf(work).find(record.spec, record.fsid);
  if (mapping === undefined) {
    throw unavailable(uuid, `has lost its image: ${formatSpec(record.spec)} is not mapped`, 'Unplug and plug its PBD.');
  }
  return attachedSr(work, uuid, mapping, record);
}

/** For vdi_attach_from_config: maps the image, or adopts the mapping that is there. */
export async function attachForConfig(work: SrWork, config: SrConfig): Promise<AttachedSr> {
  const uuid = srOf(work);
  const spec = imageSpecOf(config);
  const access = await config.access(work);
  const { mapping } = await mapForCall(work, access, config, spec);
  return attachedSr(work, uuid, mapping, { spec, allocation: config.allocation });
}

export function attachedSr(
  work: SrWork,
  uuid: SrUuid,
  mapping: Mapping,
  record: Pick<AttachedRecord, 'spec' | 'allocation'>,
): AttachedSr {
  const vg = vgName(uuid);
  return {
    uuid,
    vg,
    spec: record.spec,
    mapping,
    allocation: record.allocation,
    lvm: lvmOf(work, mapping, vg),
    openPv: (mode) => openBlockIo(mapping.device, mode),
  };
}

/** Writable only where the request proves that this host is the SR's master. */
export function lvmOf(work: SrWork, mapping: Mapping, vg: string): Lvm {
  const { subject, profile } = work;
  const writable = subject.srMaster && subject.srRef !== undefined;
  const { masterSystemDir } = profile.lvm;
  return new Lvm({
    device: mapping.device,
    vg,
    writable,
    serialise: serialiser(work, mapping.device),
    ...(writable && masterSystemDir !== undefined ? { systemDir: profile.paths.root + masterSystemDir } : {}),
    deadline: work.deadline,
  });
}

/** What one look at an SR has found. */
export interface SrNodes {
  readonly report: VgReport;
  readonly tree: VdiTree;
}

/**
 * One report, unless one is known, and one batch of header reads; `silent`: lv-table.ts. 'sr-unavailable' where the
 * image no longer holds the volume group.
 */
export function readNodes(sr: AttachedSr, silent?: Set<string>, known?: VgReport): Promise<SrNodes> {
  return readWith(sr, (report, pv) => readVdiNodes(report, pv, silent), known);
}

/**
 * The same for one disk: the tree holds its chain and nothing else. Headers of other disks are not read, which may not
 * answer.
 */
export function readChain(sr: AttachedSr, vdi: VdiUuid): Promise<SrNodes> {
  return readWith(sr, (report, pv) => readChainNodes(report, pv, vdi));
}

async function readWith(
  sr: AttachedSr,
  read: (report: VgReport, pv: BlockIo) => Promise<readonly VdiNode[]>,
  known?: VgReport,
): Promise<SrNodes> {
  const report = known ?? (await reportOf(sr));
  const pv = await sr.openPv('read');
  try {
    return { report, tree: new VdiTree(await read(report, pv)) };
  } finally {
    await pv.close();
  }
}

export async function reportOf(sr: AttachedSr): Promise<VgReport> {
  const report = await sr.lvm.report();
  if (report === undefined) throw unavailable(sr.uuid, `has no volume group ${sr.vg} on ${formatSpec(sr.spec)}`, '');
  if (!report.partial) return report;
  throw unavailable(sr.uuid, `has an incomplete volume group ${sr.vg}`, 'Every physical volume has to be there.');
}

/** The metadata volume through its extents: it needs not be active. 'lvm-missing' where there is none. */
export async function withMetadata<T>(
  sr: AttachedSr,
  work: (mgt: MetadataVolume) => Promise<T>,
  known?: VgReport,
): Promise<T> {
  const lv = (known ?? (await reportOf(sr))).lvs.find(({ name }) => name === MGT_LV);
  if (lv === undefined) {
    throw new RbdsrError('lvm-missing', {
      what: `SR ${sr.uuid} has no metadata volume`,
      todo: 'The next sr_attach on the pool master makes it: unplug and plug its PBD.',
    });
  }
  const pv = await sr.openPv('write');
  try {
    return await work(new MetadataVolume(extentIo(pv, lv)));
  } finally {
    await pv.close();
  }
}

/**
 * The same after a command has done what it was asked for: a failure is a warning then, for the next scan mends the
 * totals, and an answer that says "failed" would be wrong.
 */
export async function noteSrTotals(
  work: SrWork,
  report: () => VgReport | Promise<VgReport>,
  virtualAllocation?: { readonly delta: number },
): Promise<void> {
  try {
    await updateSrTotals(work, await report(), virtualAllocation);
  } catch (error) {
    work.log.warn(`the totals of SR ${srOf(work)} are old until its next scan: ${messageOf(error)}`);
  }
}

/** Physical totals from LVM; the virtual allocation only changes by what the command added or took. Bytes. */
export async function updateSrTotals(
  work: SrWork,
  report: VgReport,
  virtualAllocation?: { readonly delta: number } | { readonly total: number },
): Promise<void> {
  const { srRef } = work.subject;
  if (srRef === undefined) return;
  const xapi = await work.xapi();
  const virtual =
    virtualAllocation === undefined
      ? {}
      : {
          virtualAllocation:
            'total' in virtualAllocation
              ? virtualAllocation.total
              : Math.max(0, (await srVirtualAllocation(xapi, srRef)) + virtualAllocation.delta),
        };
  await setSrTotals(xapi, srRef, {
    ...virtual,
    physicalSize: report.sizeBytes,
    physicalUtilisation: report.sizeBytes - report.freeBytes,
  });
}

/**
 * On the SR master, before a command that changes metadata: undoes what was interrupted, as `report` shows it. True
 * where there was something, so that the report is old. The caller holds the SR lock. 'journal' for what this release
 * cannot undo.
 */
export async function recoverIfMaster(work: SrWork, sr: AttachedSr, report: VgReport): Promise<boolean> {
  if (!work.subject.srMaster || work.subject.srRef === undefined) return false;
  const done = await recoverJournals(
    {
      lvm: sr.lvm,
      // Nothing becomes active by it, on whatever host the volume may be in use.
      openLv: openByExtents(sr.lvm, sr.openPv),
      refreshElsewhere: async (lvNames) => {
        const { refreshElsewhere } = await import('./hosts/master-plugin.ts');
        await refreshElsewhere(work, sr.uuid, lvNames);
      },
    },
    report,
  );
  for (const { vdi, failure } of done) {
    const what =
      failure === undefined
        ? `undid the interrupted growing of VDI ${vdi}`
        : `the interrupted growing of VDI ${vdi} is not undone, and it cannot be used: ${failure.message}`;
    work.log.warn(`SR ${sr.uuid}: ${what}`);
  }
  return done.some(({ failure }) => failure === undefined);
}

function unavailable(uuid: SrUuid, what: string, todo: string): RbdsrError {
  return new RbdsrError('sr-unavailable', { what: `SR ${uuid} ${what}`, ...(todo === '' ? {} : { todo }) });
}
