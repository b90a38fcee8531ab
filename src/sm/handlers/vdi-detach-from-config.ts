import { messageOf } from '../../base/error.ts';
import { readAttachedRecord } from '../../sr/attached-record.ts';
import { type AttachedSr, attachedSr } from '../../sr/attached-sr.ts';
import { configOf, type Handler, type SmCall } from '../handler.ts';
import { krbdOf } from '../../sr/image/krbd-of-host.ts';
import { unitReply } from '../protocol/reply.ts';
import { imageSpecOf } from '../../sr/config/sr-type.ts';
import { detachTarget } from '../../sr/disk/let-go.ts';
import { srOf, vdiOf } from '../../sr/work/subject.ts';

/**
 * The reverse of vdi_attach_from_config. The image stays mapped while the SR is plugged or another of its disks is in
 * use.
 */
export const handler: Handler = async (call) => {
  const vdi = vdiOf(call);
  const config = await configOf(call);
  const spec = imageSpecOf(config);
  const mapping = krbdOf(call).find(spec);
  const uuid = srOf(call);
  const sr =
    mapping === undefined ? undefined : attachedSr(call, uuid, mapping, { spec, allocation: config.allocation });
  const lock = await call.lockVdi(vdi);
  try {
    await detachTarget(call, uuid, sr, vdi);
  } finally {
    await lock.release();
  }
  try {
    if (sr !== undefined) await unmapIfUnused(call, sr);
  } catch (error) {
    call.log.warn(`VDI ${vdi} is detached, and its image stays mapped: ${messageOf(error)}`);
  }
  return unitReply;
};

async function unmapIfUnused(call: SmCall, sr: AttachedSr): Promise<void> {
  const lock = await call.lockSr(sr.uuid);
  try {
    if (readAttachedRecord(call.profile.paths, sr.uuid) !== undefined) return;
    const report = await sr.lvm.report();
    if (report?.lvs.some(({ active }) => active) === true) return;
    await krbdOf(call).unmap(sr.mapping, call.deadline);
  } finally {
    await lock.release();
  }
}
