import { messageOf } from '../base/error.ts';
import { lastStep, type Step, step } from '../base/steps.ts';
import type { VdiMetadata } from '../lvhd/metadata/record.ts';
import { MGT_LV, vdiOfLv, vdiTypeOfLv } from '../lvhd/names.ts';
import { SMALL_LV_SIZE } from '../lvhd/sizes.ts';
import { lvNamed, type VgReport } from '../lvm/report.ts';
import { runSteps } from '../system/running-steps.ts';
import { srRecord } from '../xapi/sr.ts';
import { vdisOfSr } from '../xapi/vdi.ts';
import type { AttachedSr } from './attached-sr.ts';
import { recoverIfMaster } from './recovered-sr.ts';
import { metadataOfVdi, namesOfVdi } from './metadata-of-vdi.ts';
import { reportOf, withMetadata } from './read-sr.ts';
import type { SrWork } from './work/work.ts';

/**
 * On the SR master at sr_attach: makes the metadata volume where it is missing, else brings it up to what xapi and the
 * LVs say. A damaged volume, or an operation that was interrupted and is not ours to finish, is a warning here: the
 * disks can be used all the same.
 */
export async function prepareMetadata(work: SrWork, sr: AttachedSr): Promise<void> {
  const { srMaster, srRef } = work.subject;
  if (!srMaster || srRef === undefined) return;
  try {
    const found = await reportOf(sr);
    const report = (await recoverIfMaster(work, sr, found)) ? await reportOf(sr) : found;
    if (lvNamed(report, MGT_LV) !== undefined) await synchronise(work, sr, srRef, report);
    else await runSteps(metadataSteps, { work, sr, srRef });
  } catch (error) {
    work.log.warn(`SR ${sr.uuid}: its metadata could not be brought up to date: ${messageOf(error)}`);
  }
  await sr.lvm.activateAfresh(MGT_LV).catch((error: unknown) => {
    work.log.warn(`SR ${sr.uuid}: its metadata volume could not be activated: ${messageOf(error)}`);
  });
}

interface Synchronising {
  readonly work: SrWork;
  readonly sr: AttachedSr;
  readonly srRef: string;
}

/** An LV without content reads as "no metadata". */
export const metadataSteps: readonly Step<Synchronising>[] = [
  step('sr-attach.after-mgt-lv', makeVolume, {
    does: '`lvcreate MGT`',
    leaves: { id: 'metadata-volume-empty', says: 'an LV without a header, where the image was blank there' },
    mendedBy: { by: ['sr_attach'], says: 'the next sr_attach fills it' },
  }),
  lastStep(writeFirst, 'it is written: the verb *create* above'),
];

async function makeVolume({ sr }: Synchronising): Promise<void> {
  await sr.lvm.createLv(MGT_LV, SMALL_LV_SIZE);
}

async function writeFirst({ work, sr, srRef }: Synchronising): Promise<void> {
  await writeAll(work, sr, srRef, await reportOf(sr));
}

async function writeAll(work: SrWork, sr: AttachedSr, srRef: string, report: VgReport): Promise<void> {
  const xapi = await work.xapi();
  const { nameLabel, nameDescription } = await srRecord(xapi, srRef);
  const vdis = (await vdisOfSr(xapi, srRef)).filter(({ uuid }) => diskOf(report, uuid) !== undefined);
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

async function synchronise(work: SrWork, sr: AttachedSr, srRef: string, report: VgReport): Promise<void> {
  if (await isEmptyVolume(sr, report)) {
    await writeAll(work, sr, srRef, report);
    return;
  }
  const xapi = await work.xapi();
  const { nameLabel, nameDescription } = await srRecord(xapi, srRef);
  const records = new Map((await vdisOfSr(xapi, srRef)).map((vdi) => [vdi.uuid, vdi]));
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
