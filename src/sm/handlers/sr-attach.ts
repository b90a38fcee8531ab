import { messageOf } from '../../base/error.ts';
import { undo } from '../../base/undo.ts';
import { formatSpec } from '../../ceph/image/image-spec.ts';
import { IpcFlags } from '../../lvhd/ipc-flags.ts';
import { leaveOrderToCeph } from '../../ceph/krbd/queue-scheduler.ts';
import { RefCounts } from '../../lvhd/refcount.ts';
import type { VgReport } from '../../lvm/report.ts';
import { createMessage } from '../../xapi/message.ts';
import { addMapKey, setMapKey } from '../../xapi/map-keys.ts';
import { type SrRecord, srRecord } from '../../xapi/sr.ts';
import type { StringMap } from '../../xapi/values.ts';
import { readAttachedRecord, writeAttachedRecord } from '../../sr/attached-record.ts';
import { type AttachedSr, attachedSr } from '../../sr/attached-sr.ts';
import { reportOf } from '../../sr/read-sr.ts';
import { workUntil, undoWork } from '../../sr/work/work-until.ts';
import { holdDevice } from '../../sr/held-device.ts';
import { growVolumeGroup } from '../../sr/grow-volume-group.ts';
import { configOf, type Handler, type SmCall } from '../handler.ts';
import { krbdOf } from '../../sr/image/krbd-of-host.ts';
import { mapAnew } from '../../sr/image/map-anew.ts';
import { prepareMetadata } from '../../sr/metadata-sync.ts';
import { unitReply } from '../protocol/reply.ts';
import { fsidKeys, fsidOf } from '../../sr/config/fsid-key.ts';
import { imageSpecOf } from '../../sr/config/sr-type.ts';
import { scanSr } from '../../sr/scan.ts';
import { VdiRecords } from '../../sr/vdi-records.ts';
import { releaseImage } from '../../sr/image/release-image.ts';
import { clearIdleHostKeys, clearStaleHostKeys } from '../../sr/hosts/stale-host-keys.ts';
import { srOf } from '../../sr/work/subject.ts';

/** Of the time that is left when everything else is done. */
const SHARE_OF_SCAN = 0.8;

/** Maps the image and readies the SR on this host. Attached already: every step finds its work done. */
export const handler: Handler = async (call) => {
  const uuid = srOf(call);
  const config = await configOf(call);
  const spec = imageSpecOf(config);
  const { paths } = call.profile;
  const before = readAttachedRecord(paths, uuid);
  const known = await knownOf(call);
  const fsid = fsidOf(known.smConfig);
  const wasAttached = before !== undefined && krbdOf(call).find(spec, before.fsid) !== undefined;

  const access = await config.access(call);
  const { mapping, isNew } = await mapAnew(call, uuid, access, config, spec, fsid === undefined ? {} : { fsid });
  const allocation = allocationOf(known.smConfig, config.allocation);
  const { sr, letGo } = holdDevice(call, attachedSr(call, uuid, mapping, { spec, allocation }));
  const vdis = new VdiRecords();
  let report: VgReport | undefined;
  try {
    call.waiting(`LVM to read ${sr.vg} from ${formatSpec(spec)}`);
    const found = await reportOf(sr);
    if (!wasAttached) await forgetLastAttach(call, sr, vdis);
    report = await prepareMetadata(call, sr, await growVolumeGroup(call, sr, found), { sr: known, vdis });
    await recordInXapi(call, sr, known.smConfig);
    if (call.request.srMaster) await config.mapped?.(call, mapping);
    writeAttachedRecord(paths, uuid, {
      spec,
      allocation,
      ...(mapping.fsid === undefined ? {} : { fsid: mapping.fsid }),
    });
  } catch (error) {
    // A mapping that was here before is somebody's: perhaps another SR's.
    if (!isNew) throw error;
    const undoing = undoWork(call);
    const release = async (): Promise<void> => {
      await letGo();
      await releaseImage(undoing, attachedSr(undoing, uuid, mapping, sr));
    };
    return undo(error, { [`the mapping ${mapping.device}`]: release });
  }
  // What it has shrunk is not in the report.
  if (wasAttached && (await clearIdleHostKeys(call, uuid, vdis))) report = undefined;
  await leaveOrderToCeph(krbdOf(call).host.roots, mapping.index);
  if (call.request.srMaster) await firstScan(call, sr, report, vdis);
  return unitReply;
};

/**
 * What xapi has of the SR. Of its keys only the master writes those that are read here, under the SR's lock; a name
 * that a user changes meanwhile is told by the sr_update after the next scan.
 */
async function knownOf(call: SmCall): Promise<Pick<SrRecord, 'smConfig' | 'nameLabel' | 'nameDescription'>> {
  const { srRef } = call.request;
  return srRef === undefined
    ? { smConfig: {}, nameLabel: '', nameDescription: '' }
    : srRecord(await call.xapi(), srRef);
}

function allocationOf(smConfig: Readonly<Record<string, string>>, configured: 'thick' | 'thin'): 'thick' | 'thin' {
  const recorded = smConfig['allocation'];
  return recorded === 'thin' || recorded === 'thick' ? recorded : configured;
}

/**
 * What an earlier life of this host left: counts of active LVs, flags, keys that say a VDI is active here (sm
 * `reset_sr`).
 */
async function forgetLastAttach(call: SmCall, sr: AttachedSr, vdis: VdiRecords): Promise<void> {
  const { paths } = call.profile;
  RefCounts.ofHost(paths, sr.uuid, call.deadline).reset();
  new IpcFlags(sr.uuid, `${paths.smRunDir}/ipc`).clearAll();
  await clearStaleHostKeys(call, sr.uuid, vdis);
}

async function recordInXapi(call: SmCall, sr: AttachedSr, now: StringMap): Promise<void> {
  const { srRef, srMaster } = call.request;
  if (srRef === undefined || !srMaster) return;
  const xapi = await call.xapi();
  const wanted: Record<string, string> = { use_vhd: 'true', allocation: sr.allocation, ...fsidKeys(sr.mapping) };
  for (const [key, value] of Object.entries(wanted)) {
    if (now[key] !== value) await setMapKey(xapi, 'SR.sm_config', srRef, key, value);
  }
  // Only asks xapi for a scan soon (sm `SRCommand`): a scan runs in this attach, too.
  await addMapKey(xapi, 'SR.other_config', srRef, 'dirty', '').catch((error: unknown) =>
    call.log.warn(`SR ${sr.uuid}: xapi was not asked for a scan: ${messageOf(error)}`),
  );
}

/**
 * A scan that fails, or that the time left is too short for, leaves the SR attached; the administrator hears of it (sm
 * `SRCommand`).
 */
async function firstScan(call: SmCall, sr: AttachedSr, report: VgReport | undefined, vdis: VdiRecords): Promise<void> {
  try {
    const scan = workUntil(call, call.deadline.within(call.deadline.leftMs * SHARE_OF_SCAN));
    const again = { ...attachedSr(scan, sr.uuid, sr.mapping, sr), openPv: sr.openPv };
    await scanSr(scan, again, { report, records: await vdis.of(scan) });
  } catch (error) {
    call.log.warn(`SR ${sr.uuid}: the scan after the attach failed: ${messageOf(error)}`);
    await tellOfFailedScan(undoWork(call), sr, error).catch((failure: unknown) =>
      call.log.warn(`SR ${sr.uuid}: xapi was not told of it: ${messageOf(failure)}`),
    );
  }
}

async function tellOfFailedScan(call: SmCall, sr: AttachedSr, error: unknown): Promise<void> {
  await createMessage(await call.xapi(), {
    name: 'POST_ATTACH_SCAN_FAILED',
    priority: 2,
    about: 'SR',
    uuid: sr.uuid,
    body: messageOf(error),
  });
}
