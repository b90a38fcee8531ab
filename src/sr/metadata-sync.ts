import { messageOf } from '../base/error.ts';
import type { VdiMetadata } from '../lvhd/metadata/record.ts';
import { MGT_LV, vdiOfLv, vdiTypeOfLv } from '../lvhd/names.ts';
import { SMALL_LV_SIZE } from '../lvhd/sizes.ts';
import type { LvReport, VgReport } from '../lvm/report.ts';
import { faultPoint } from '../system/fault-point.ts';
import type { SrRecord } from '../xapi/sr.ts';
import type { VdiRecord } from '../xapi/vdi.ts';
import { type AttachedSr, recoverIfMaster, reportOf, withMetadata } from './attached-sr.ts';
import type { VdiRecords } from './vdi-records.ts';
import type { SrWork } from './work/work.ts';

/**
 * On the SR master at sr_attach: makes the metadata volume where it is missing, else brings it up to what xapi and the
 * LVs say. A damaged volume, or an operation that was interrupted and is not ours to finish, is a warning here: the
 * disks can be used all the same. Answers the report as it is afterwards; undefined where that is not known.
 */
export async function prepareMetadata(
  work: SrWork,
  sr: AttachedSr,
  found: VgReport,
  known: XapiNames,
): Promise<VgReport | undefined> {
  const { srMaster, srRef } = work.subject;
  if (!srMaster || srRef === undefined) return found;
  let report: VgReport | undefined;
  try {
    // Undoing has changed volumes.
    const whole = (await recoverIfMaster(work, sr, found)) ? await reportOf(sr) : found;
    const isThere = whole.lvs.some(({ name }) => name === MGT_LV);
    report = isThere ? whole : withLv(whole, await makeVolume(sr));
    await (isThere ? synchronise : writeAll)(work, sr, report, known);
  } catch (error) {
    work.log.warn(`SR ${sr.uuid}: its metadata could not be brought up to date: ${messageOf(error)}`);
  }
  await sr.lvm.activateAfresh(MGT_LV).catch((error: unknown) => {
    work.log.warn(`SR ${sr.uuid}: its metadata volume could not be activated: ${messageOf(error)}`);
  });
  return report;
}

/** What xapi calls the SR and its disks. */
export interface XapiNames {
  readonly sr: Pick<SrRecord, 'nameLabel' | 'nameDescription'>;
  readonly vdis: VdiRecords;
}

/**
 * An LV without content reads as "no metadata", so a crash between the two steps is mended by `synchronise` of the next
 * attach.
 */
async function makeVolume(sr: AttachedSr): Promise<LvReport> {
  const lv = await sr.lvm.createLv(MGT_LV, SMALL_LV_SIZE);
  faultPoint('sr-attach.after-mgt-lv');
  return lv;
}

function withLv(report: VgReport, lv: LvReport): VgReport {
  return { ...report, freeBytes: report.freeBytes - lv.sizeBytes, lvs: [...report.lvs, lv] };
}

async function writeAll(work: SrWork, sr: AttachedSr, report: VgReport, known: XapiNames): Promise<void> {
  const { nameLabel, nameDescription } = known.sr;
  const vdis = (await known.vdis.of(work)).filter(({ uuid }) => diskOf(report, uuid) !== undefined);
  const names = new Map(vdis.map(({ ref, uuid }) => [ref, uuid]));
  await withMetadata(
    sr,
    (mgt) =>
      mgt.create(
        { uuid: sr.uuid, allocation: sr.allocation, nameLabel, nameDescription },
        vdis.map((vdi) => metadataOf(vdi, diskOf(report, vdi.uuid)?.vdiType ?? 'vhd', names.get(vdi.snapshotOf) ?? '')),
      ),
    report,
  );
}

async function synchronise(work: SrWork, sr: AttachedSr, report: VgReport, known: XapiNames): Promise<void> {
  if (await isEmptyVolume(sr, report)) {
    await writeAll(work, sr, report, known);
    return;
  }
  const { nameLabel, nameDescription } = known.sr;
  const records = new Map((await known.vdis.of(work)).map((vdi) => [vdi.uuid, vdi]));
  await withMetadata(
    sr,
    async (mgt) => {
      const content = await mgt.read();
      if (content.sr.nameLabel !== nameLabel || content.sr.nameDescription !== nameDescription) {
        await mgt.updateSr({ nameLabel, nameDescription });
      }
      for (const record of content.vdis) {
        const disk = diskOf(report, record.uuid);
        if (disk === undefined) {
          await mgt.delete(record.uuid);
          continue;
        }
        if (disk.foreign) continue;
        const changes = differences(record, { vdiType: disk.vdiType, ...namesOf(records.get(record.uuid)) });
        if (changes !== undefined) await mgt.updateVdi(record.uuid, changes);
      }
    },
    report,
  );
}

/** Made but never written: its first sector holds no header. */
async function isEmptyVolume(sr: AttachedSr, report: VgReport): Promise<boolean> {
  const lv = report.lvs.find(({ name }) => name === MGT_LV);
  const [segment] = lv?.segments ?? [];
  if (segment === undefined) return false;
  const pv = await sr.openPv('read');
  try {
    const header = await pv.read(segment.pvOffsetBytes, 512);
    return header.every((byte) => byte === 0);
  } finally {
    await pv.close();
  }
}

function namesOf(vdi: VdiRecord | undefined): Partial<VdiMetadata> {
  return vdi === undefined ? {} : { nameLabel: vdi.nameLabel, nameDescription: vdi.nameDescription };
}

function differences(record: VdiMetadata, wanted: Partial<VdiMetadata>): Partial<VdiMetadata> | undefined {
  const changed = Object.entries(wanted).filter(([key, value]) => record[key as keyof VdiMetadata] !== value);
  return changed.length === 0 ? undefined : Object.fromEntries(changed);
}

/** The disk of a record, by its LV. The record of one that only another driver drives is that driver's. */
function diskOf(report: VgReport, uuid: string): { readonly vdiType: string; readonly foreign: boolean } | undefined {
  for (const { name } of report.lvs) {
    const vdi = vdiOfLv(name);
    if (vdi === undefined || vdi.uuid !== uuid || vdi.old) continue;
    return { vdiType: vdiTypeOfLv(name, vdi.kind), foreign: vdi.kind === 'foreign' };
  }
  return undefined;
}

function metadataOf(vdi: VdiRecord, vdiType: string, snapshotOf: string): VdiMetadata {
  return {
    uuid: vdi.uuid,
    nameLabel: vdi.nameLabel,
    nameDescription: vdi.nameDescription,
    isASnapshot: vdi.isASnapshot,
    snapshotOf,
    snapshotTime: vdi.isASnapshot ? vdi.snapshotTime : '',
    type: vdi.type,
    vdiType,
    readOnly: vdi.readOnly,
    managed: vdi.managed,
    metadataOfPool: vdi.metadataOfPool,
  };
}
