import { messageOf } from '../../base/error.ts';
import { nowMs } from '../../base/now.ts';
import { lastStep, type Step } from '../../base/steps.ts';
import { runSteps } from '../../system/running-steps.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import type { Handler, SmCall } from '../handler.ts';
import { finishClaim, keepClaim, tryClaim, undoClaim, waitForRelease } from '../../sr/hosts/host-keys.ts';
import { unitReply } from '../protocol/reply.ts';
import { refuseUnsettled } from '../../sr/hosts/settled-marks.ts';
import { attachTarget } from '../../sr/disk/vdi-target.ts';
import { writableArgument } from '../arguments.ts';
import { vdiOf } from '../../sr/work/subject.ts';

/**
 * The mark in xapi, the volumes, the data path; active already, every step finds its work done. After a failure all of
 * it is undone, the mark last. A crash leaves what activating or deactivating again finishes.
 */
export const handler: Handler = async (call) => {
  const started = nowMs();
  const why = `VDI ${vdiOf(call)} to be released (paused, relinking or activating in its sm_config)`;
  while (!(await attempt(call, nowMs() - started))) await waitForRelease(call, why, started);
  return unitReply;
};

/** False where another operation holds the VDI back: its lock is free while we wait. */
async function attempt(call: SmCall, waitedMs: number): Promise<boolean> {
  const vdi = vdiOf(call);
  const writable = writableArgument(call);
  const sr = await openAttachedSr(call);
  const lock = await call.lockVdi(vdi);
  try {
    call.waiting(`xapi to mark VDI ${vdi} as active on this host`);
    const claim = await tryClaim(call, writable, waitedMs);
    if (claim === undefined) return false;
    const state = { held: false };
    try {
      if (!claim.isNew) await refuseUnsettled(call, sr.uuid, vdi);
      const confirm = (): Promise<void> => keepClaim(call, writable);
      await attachTarget(call, sr, vdi, { writable, grow: true, confirm }, state);
    } catch (error) {
      return await undoClaim(call, error, claim.isNew && !state.held);
    }
    await runSteps(activeSteps, call);
    return true;
  } finally {
    await lock.release();
  }
}

/** The last of vdi_activate, after the claim and the target. */
export const activeSteps: readonly Step<SmCall>[] = [lastStep(noteActive, '`activating` goes')];

async function noteActive(call: SmCall): Promise<void> {
  await finishClaim(call).catch((error: unknown) => {
    // The disk is in use from here on; deactivating it takes the key away, too.
    call.log.warn(`VDI ${vdiOf(call)} is active, and its key "activating" in xapi is left: ${messageOf(error)}`);
  });
}
