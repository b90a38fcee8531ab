import { attachedSr, srOf } from '../attached-sr.ts';
import { imageSpecOf, parseDeviceConfig } from '../device-config.ts';
import type { Handler } from '../handler.ts';
import { krbdOf } from '../krbd-of-host.ts';
import { unitReply } from '../reply.ts';
import { detachTarget } from '../vdi-target.ts';
import { vdiOf } from '../vdi-request.ts';

/** The reverse of vdi_attach_from_config; the image stays mapped, for other disks of the SR may be in use. */
export const handler: Handler = async (call) => {
  const vdi = vdiOf(call);
  const config = parseDeviceConfig(call.request.deviceConfig);
  const spec = imageSpecOf(config);
  const mapping = krbdOf(call).find(spec);
  // A disk on an image that is not mapped cannot be active.
  if (mapping === undefined) return unitReply;
  const sr = attachedSr(call, srOf(call), mapping, { spec, allocation: config.allocation });
  const lock = await call.lockVdi(vdi);
  try {
    await detachTarget(call, sr, vdi);
  } finally {
    await lock.release();
  }
  return unitReply;
};
