import { attachForConfig } from '../attached-sr.ts';
import type { Handler } from '../handler.ts';
import { unitReply } from '../reply.ts';
import { detachTarget } from '../vdi-target.ts';
import { vdiOf } from '../vdi-request.ts';

/** The reverse of vdi_attach_from_config; the image stays mapped, for other disks of the SR may be in use. */
export const handler: Handler = async (call) => {
  const vdi = vdiOf(call);
  const sr = await attachForConfig(call);
  const lock = await call.lockVdi(vdi);
  try {
    await detachTarget(call, sr, vdi);
  } finally {
    await lock.release();
  }
  return unitReply;
};
