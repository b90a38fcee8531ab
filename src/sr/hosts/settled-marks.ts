import { hasCode, messageOf, RbdsrError } from '../../base/error.ts';
import type { SrUuid, VdiUuid } from '../../base/ids.ts';
import { RefCounts } from '../../lvhd/refcount.ts';
import { callPlugin } from '../../xapi/host.ts';
import { poolMaster } from '../../xapi/pool.ts';
import { workUntil } from '../work/work-until.ts';
import type { SrWork } from '../work/work.ts';
import { mayStillRun } from './master-plugin.ts';
import { PLUGIN } from './plugin-name.ts';

/** How long the master may take, ms: the plug-in has a little less (plugin-functions.ts). */
const ASK_MS = 20_000;

/**
 * What this host had the master do to disks that bear its mark may outlive the call that asked for it: a shrinking, for
 * which the mark is kept. Undefined where all that is over, or why that cannot be said. On the master the lock of the
 * SR has said so.
 */
export async function whyUnsettled(work: SrWork, sr: SrUuid, vdis: readonly VdiUuid[]): Promise<unknown> {
  const [first] = vdis;
  if (first === undefined || work.subject.srMaster) return undefined;
  work.waiting('the pool master to say whether it still works on disks that bear the mark of this host');
  const args = { sr_uuid: sr, vdi_uuid: first, vdi_uuids: vdis.join(',') };
  try {
    const xapi = await workUntil(work, work.deadline.within(ASK_MS)).xapi();
    if ((await callPlugin(xapi, await poolMaster(xapi), PLUGIN, 'is_settled', args)) === 'True') return undefined;
  } catch (error) {
    if (!hasCode(error, 'xapi-failure', 'deadline', 'xapi-unreachable')) throw error;
    return error;
  }
  return new RbdsrError('deadline', { what: 'the pool master may still write what this host had asked for' });
}

/**
 * Before a disk is used whose mark of this host was there already: 'vdi-unavailable' where the master may be about to
 * shrink it. One that is active here is not shrunk; a master of which it is known that it does nothing, since it has
 * not the function, is believed.
 */
export async function refuseUnsettled(work: SrWork, sr: SrUuid, vdi: VdiUuid): Promise<void> {
  if (RefCounts.ofHost(work.profile.paths, sr, work.deadline).read(vdi).binary === 1) return;
  const why = await whyUnsettled(work, sr, [vdi]);
  if (why === undefined || !mayStillRun(why)) return;
  throw new RbdsrError('vdi-unavailable', {
    what: `the pool master may still shrink the volume of VDI ${vdi}, which this host asked for when it deactivated it`,
    expected: 'an answer of the master that it does not',
    found: messageOf(why),
    todo: 'Try again; where it stays so, the log of the pool master says what it waits for.',
  });
}
