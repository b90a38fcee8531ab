import { vdiRecord } from '../../xapi/vdi.ts';
import { nowMs } from '../../base/now.ts';
import { undoWork } from '../../sr/work/work-until.ts';
import { findAttachedSr } from '../../sr/find-attached-sr.ts';
import { configOf, type Handler, type SmCall } from '../handler.ts';
import { otherHosts, waitForRelease } from '../../sr/hosts/host-keys.ts';
import { unitReply } from '../protocol/reply.ts';
import { detachTarget, releaseMark } from '../../sr/disk/let-go.ts';
import { isGivenBack } from '../../sr/disk/vdi-room.ts';
import { hostRefOf, srOf, vdiOf, vdiRefOf } from '../../sr/work/subject.ts';
import type { SrWork } from '../../sr/work/work.ts';

/**
 * The data path, the volumes, the mark in xapi: until the last one is gone, no other host may write. Inactive already,
 * or the SR no longer attached: what is left of them.
 */
export const handler: Handler = async (call) => {
  const started = nowMs();
  while (!(await attempt(call))) await waitForRelease(call, `VDI ${vdiOf(call)} to be unpaused`, started);
  return unitReply;
};

async function attempt(call: SmCall): Promise<boolean> {
  const vdi = vdiOf(call);
  const sr = await findAttachedSr(call, () => configOf(call));
  const lock = await call.lockVdi(vdi);
  try {
    const { smConfig, isASnapshot } = await vdiRecord(await call.xapi(), vdiRefOf(call));
    if (Object.hasOwn(smConfig, 'paused')) return false;
    const [leaf] = await detachTarget(call, srOf(call), sr, vdi);
    const elsewhere = otherHosts(smConfig, hostRefOf(call)).length > 0;
    const givesBack = sr !== undefined && isGivenBack(sr, isASnapshot) && !elsewhere;
    // Nothing is active here any more, whatever time it took: other hosts must learn it.
    const telling = (): SrWork => (call.deadline.expired ? undoWork(call) : call);
    await releaseMark({ work: call, sr, leaf, givesBack, smConfig, telling });
    return true;
  } finally {
    await lock.release();
  }
}
