import { IpcFlags } from '../../lvhd/ipc-flags.ts';
import { RefCounts } from '../../lvhd/refcount.ts';
import { readAttachedRecord, removeAttachedRecord } from '../attached-record.ts';
import { attachedSr, srOf } from '../attached-sr.ts';
import type { Handler } from '../handler.ts';
import { krbdOf } from '../krbd-of-host.ts';
import { releaseImage } from '../release-image.ts';
import { unitReply } from '../reply.ts';

/** Needs neither cluster access nor device-config: the record of the attach and the kernel say everything. Detached already is done. */
export const handler: Handler = async (call) => {
  const uuid = srOf(call);
  const { paths } = call.profile;
  const record = readAttachedRecord(paths, uuid);
  if (record === undefined) return unitReply;
  const mapping = krbdOf(call).find(record.spec, record.fsid);
  if (mapping !== undefined) await releaseImage(call, attachedSr(call, uuid, mapping, record));
  new RefCounts(uuid, {
    deadline: call.deadline,
    places: { root: `${paths.smRunDir}/refcount`, lockRoot: paths.lockDir },
  }).reset();
  new IpcFlags(uuid, `${paths.smRunDir}/ipc`).clearAll();
  removeAttachedRecord(paths, uuid);
  return unitReply;
};
