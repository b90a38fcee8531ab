import { messageOf } from '../../base/error.ts';
import { undo } from '../../base/undo.ts';
import { formatSpec } from '../../ceph/image/image-spec.ts';
import { IpcFlags } from '../../lvhd/ipc-flags.ts';
import { RefCounts } from '../../lvhd/refcount.ts';
import { writeAttribute } from '../../system/sysfs.ts';
import { createMessage } from '../../xapi/message.ts';
import { addMapKey, setMapKey } from '../../xapi/map-keys.ts';
import { srSmConfig } from '../../xapi/sr.ts';
import { readAttachedRecord, writeAttachedRecord } from '../../sr/attached-record.ts';
import { type AttachedSr, attachedSr } from '../../sr/attached-sr.ts';
import { reportOf } from '../../sr/read-sr.ts';
import { workUntil, undoWork } from '../../sr/work/work-until.ts';
import { growVolumeGroup } from '../../sr/grow-volume-group.ts';
import { configOf, type Handler, type SmCall } from '../handler.ts';
import { krbdOf } from '../../sr/image/krbd-of-host.ts';
import { mapForCall } from '../../sr/image/map-sr-image.ts';
import { prepareMetadata } from '../../sr/metadata-sync.ts';
import { unitReply } from '../protocol/reply.ts';
import { fsidKeys, fsidOf } from '../../sr/config/fsid-key.ts';
import { imageSpecOf } from '../../sr/config/sr-type.ts';
import { scanSr } from '../../sr/scan.ts';
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
  const smConfig = await smConfigOf(call);
  const fsid = fsidOf(smConfig);
  const wasAttached = before !== undefined && krbdOf(call).find(spec, before.fsid) !== undefined;

  const access = await config.access(call);
  const { mapping, isNew } = await mapForCall(call, access, config, spec, fsid === undefined ? {} : { fsid });
  const allocation = allocationOf(smConfig, config.allocation);
  const sr = attachedSr(call, uuid, mapping, { spec, allocation });
  try {
    call.waiting(`LVM to read ${sr.vg} from ${formatSpec(spec)}`);
    const report = await reportOf(sr);
    if (!wasAttached) await forgetLastAttach(call, sr);
    await growVolumeGroup(call, sr, report);
    await prepareMetadata(call, sr);
    await recordInXapi(call, sr);
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
    const release = (): Promise<void> => releaseImage(undoing, attachedSr(undoing, uuid, mapping, sr));
    return undo(error, { [`the mapping ${mapping.device}`]: release });
  }
  if (wasAttached) await clearIdleHostKeys(call, uuid);
  await setScheduler(mapping.index);
  if (call.request.srMaster) await firstScan(call, sr);
  return unitReply;
};

async function smConfigOf(call: SmCall): Promise<Readonly<Record<string, string>>> {
  const { srRef } = call.request;
  return srRef === undefined ? {} : srSmConfig(await call.xapi(), srRef);
}

function allocationOf(smConfig: Readonly<Record<string, string>>, configured: 'thick' | 'thin'): 'thick' | 'thin' {
  const recorded = smConfig['allocation'];
  return recorded === 'thin' || recorded === 'thick' ? recorded : configured;
}

/**
 * What an earlier life of this host left: counts of active LVs, flags, keys that say a VDI is active here (sm
 * `reset_sr`).
 */
async function forgetLastAttach(call: SmCall, sr: AttachedSr): Promise<void> {
  const { lockDir, smRunDir } = call.profile.paths;
  new RefCounts(sr.uuid, {
    deadline: call.deadline,
    places: { root: `${smRunDir}/refcount`, lockRoot: lockDir },
  }).reset();
  new IpcFlags(sr.uuid, `${smRunDir}/ipc`).clearAll();
  await clearStaleHostKeys(call, sr.uuid);
}

async function recordInXapi(call: SmCall, sr: AttachedSr): Promise<void> {
  const { srRef, srMaster } = call.request;
  if (srRef === undefined || !srMaster) return;
  const xapi = await call.xapi();
  const now = await srSmConfig(xapi, srRef);
  const wanted: Record<string, string> = { use_vhd: 'true', allocation: sr.allocation, ...fsidKeys(sr.mapping) };
  for (const [key, value] of Object.entries(wanted)) {
    if (now[key] !== value) await setMapKey(xapi, 'SR.sm_config', srRef, key, value);
  }
  // Only asks xapi for a scan soon (sm `SRCommand`): a scan runs in this attach, too.
  await addMapKey(xapi, 'SR.other_config', srRef, 'dirty', '').catch((error: unknown) =>
    call.log.warn(`SR ${sr.uuid}: xapi was not asked for a scan: ${messageOf(error)}`),
  );
}

/** Ceph orders requests itself. A kernel without the choice goes on as it is. */
async function setScheduler(index: number): Promise<void> {
  await writeAttribute(`/sys/block/rbd${index}/queue/scheduler`, 'none').catch(() => {});
}

/**
 * A scan that fails, or that the time left is too short for, leaves the SR attached; the administrator hears of it (sm
 * `SRCommand`).
 */
async function firstScan(call: SmCall, sr: AttachedSr): Promise<void> {
  try {
    const scan = workUntil(call, call.deadline.within(call.deadline.leftMs * SHARE_OF_SCAN));
    await scanSr(scan, attachedSr(scan, sr.uuid, sr.mapping, sr));
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
