import { messageOf, RbdsrError } from '../base/error.ts';
import { lastStep, type Step, step } from '../base/steps.ts';
import type { VdiMetadata } from '../lvhd/metadata/record.ts';
import { MGT_LV, unfinishedLvName, vdiOfLv, vdiTypeOfLv } from '../lvhd/names.ts';
import { SMALL_LV_SIZE } from '../lvhd/sizes.ts';
import { lvNamed, type LvReport, type VgReport } from '../lvm/report.ts';
import { extentIo } from '../lvm/extents.ts';
import { runSteps } from '../system/running-steps.ts';
import type { SrRecord } from '../xapi/sr.ts';
import type { AttachedSr } from './attached-sr.ts';
import { recoverIfMaster } from './recovered-sr.ts';
import { metadataOfVdi, namesOfVdi } from './metadata-of-vdi.ts';
import { reportOf, withMetadata } from './read-sr.ts';
import type { VdiRecords } from './vdi-records.ts';
import { withoutUnfinished } from './without-unfinished.ts';
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
    const making: Synchronising = { work, sr, known, report: whole };
    if (lvNamed(whole, MGT_LV) === undefined) await runSteps(metadataSteps, making);
    else await synchronise(making);
    report = making.report;
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

interface Synchronising {
  readonly work: SrWork;
  readonly sr: AttachedSr;
  readonly known: XapiNames;
  /** As it is by now. */
  report: VgReport;
}

/**
 * An LV without content reads as "no metadata". One that has just been made may hold that of an SR which lay there
 * before: it gets its name when it is empty.
 */
export const metadataSteps: readonly Step<Synchronising>[] = [
  step('sr-attach.after-mgt-lv', makeVolume, {
    does: '`lvcreate new_<sr>`',
    leaves: { id: 'metadata-volume-unnamed', says: 'a volume that nothing looks at' },
    mendedBy: { by: ['sr_attach'], says: 'the next sr_attach removes it, and begins anew; so does a scan' },
  }),
  step('sr-attach.after-mgt-name', nameEmptyVolume, {
    does: 'zeroes over its first sectors, then `lvrename` to `MGT`',
    leaves: { id: 'metadata-volume-empty', says: 'an LV without a header' },
    mendedBy: { by: ['sr_attach'], says: 'the next sr_attach fills it' },
  }),
  lastStep(writeAll, 'it is written: the verb *create* above'),
];

async function makeVolume(making: Synchronising): Promise<void> {
  const { sr } = making;
  const before = await withoutUnfinished(sr, making.report);
  making.report = withLv(before, await sr.lvm.createLv(unfinishedLvName(sr.uuid), SMALL_LV_SIZE, { before }));
}

async function nameEmptyVolume(making: Synchronising): Promise<void> {
  const { sr, report } = making;
  const made = lvNamed(report, unfinishedLvName(sr.uuid));
  if (made === undefined) throw new RbdsrError('internal', { what: `SR ${sr.uuid} has no volume to name MGT` });
  const pv = await sr.openPv('write');
  try {
    const io = extentIo(pv, made);
    await io.write(0, Buffer.alloc(HEADER_ROOM));
    await io.flush();
  } finally {
    await pv.close();
  }
  await sr.lvm.renameLv(made.name, MGT_LV);
  const others = report.lvs.filter((lv) => lv !== made);
  making.report = { ...report, lvs: [...others, { ...made, name: MGT_LV }] };
}

/** Bytes: more than a header has. */
const HEADER_ROOM = 4096;

function withLv(report: VgReport, lv: LvReport): VgReport {
  return { ...report, freeBytes: report.freeBytes - lv.sizeBytes, lvs: [...report.lvs, lv] };
}

async function writeAll({ work, sr, report, known }: Synchronising): Promise<void> {
  const { nameLabel, nameDescription } = known.sr;
  const vdis = (await known.vdis.of(work)).filter(({ uuid }) => diskOf(report, uuid) !== undefined);
  await withMetadata(
    sr,
    (mgt) =>
      mgt.create(
        { uuid: sr.uuid, allocation: sr.allocation, nameLabel, nameDescription },
        vdis.map((vdi) => metadataOfVdi(vdi, diskOf(report, vdi.uuid)?.vdiType ?? 'vhd', vdis)),
      ),
    report,
  );
}

async function synchronise(making: Synchronising): Promise<void> {
  const { work, sr, report, known } = making;
  if (await isEmptyVolume(sr, report)) {
    await writeAll(making);
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
        const vdi = records.get(record.uuid);
        const names = vdi === undefined ? {} : namesOfVdi(vdi);
        const changes = differences(record, { vdiType: disk.vdiType, ...names });
        if (changes !== undefined) await mgt.updateVdi(record.uuid, changes);
      }
    },
    report,
  );
}

/** Made but never written: its first sector holds no header. */
async function isEmptyVolume(sr: AttachedSr, report: VgReport): Promise<boolean> {
  const lv = lvNamed(report, MGT_LV);
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
