import { IpcFlags } from '../../lvhd/ipc-flags.ts';
import { RefCounts } from '../../lvhd/refcount.ts';
import { removeAttachedRecord } from '../../sr/attached-record.ts';
import { findAttachedSr } from '../../sr/find-attached-sr.ts';
import { configOf, type Handler } from '../handler.ts';
import { releaseImage } from '../../sr/image/release-image.ts';
import { unitReply } from '../protocol/reply.ts';
import { srOf } from '../../sr/work/subject.ts';

/**
 * Needs no access to the cluster: the record of the attach, or device_config where it is gone, and the kernel say
 * everything. Detached already is done.
 */
export const handler: Handler = async (call) => {
  const uuid = srOf(call);
  const { paths } = call.profile;
  const sr = await findAttachedSr(call, () => configOf(call));
  if (sr !== undefined) await releaseImage(call, sr);
  RefCounts.ofHost(paths, uuid, call.deadline).reset();
  new IpcFlags(uuid, `${paths.smRunDir}/ipc`).clearAll();
  removeAttachedRecord(paths, uuid);
  return unitReply;
};
