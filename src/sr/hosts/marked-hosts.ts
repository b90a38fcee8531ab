import { hasCode, RbdsrError } from '../../base/error.ts';
import { allHosts, callPlugin, type HostRecord } from '../../xapi/host.ts';
import { removeMapKey } from '../../xapi/map-keys.ts';
import { workUntil } from '../work/work-until.ts';
import type { SrWork } from '../work/work.ts';
import { PLUGIN } from './plugin-name.ts';
import { srOf, vdiOf, vdiRefOf } from '../work/subject.ts';

/**
 * How long a host may take to say whether it has a disk open, ms: the plug-in has a little less (plugin-functions.ts).
 */
const ASK_MS = 20_000;

/** A host that has a disk of the pool open, or of which nobody can tell. */
export interface MarkedHost {
  readonly ref: string;
  /** Its name and reference, for a message. */
  readonly title: string;
  readonly found: string;
  readonly todo: string;
  /**
   * For commands that refuse a disk in use: xapi keeps no text of 'vdi-in-use', and one that cannot be told needs the
   * advice.
   */
  readonly code: 'vdi-in-use' | 'vdi-unavailable';
}

/**
 * The first of these hosts whose mark on the call's VDI stands for something. A mark that outlived its call is taken
 * away by the host itself, under its lock of the disk, when it is asked (plugin/is-open.ts; sm `resetvdis.py`,
 * reset_vdi, asks so too); that of a host which the pool no longer has goes at once. Undefined where no mark is left of
 * those. `srLocked`: the call holds the SR's lock on the master.
 */
export async function markedInEarnest(
  work: SrWork,
  hosts: readonly string[],
  { srLocked = false } = {},
): Promise<MarkedHost | undefined> {
  if (hosts.length === 0) return undefined;
  const xapi = await work.xapi();
  const known = new Map((await allHosts(xapi)).map((host) => [host.ref, host]));
  for (const ref of hosts) {
    const host = known.get(ref);
    if (host === undefined) {
      await removeMapKey(xapi, 'VDI.sm_config', vdiRefOf(work), `host_${ref}`);
      continue;
    }
    const kept = await ask(work, host, srLocked);
    if (kept !== undefined) return kept;
    work.log.warn(`VDI ${vdiOf(work)}: the mark of host ${host.nameLabel} (${ref}) was left by a call that is over`);
  }
  return undefined;
}

/** What helps where a host that bears a mark does not answer: either ends in the removal of its marks. */
export function whereHostIsSilent({ nameLabel, uuid }: Pick<HostRecord, 'nameLabel' | 'uuid'>): string {
  return `If host ${nameLabel} is down and stays down: xe host-declare-dead uuid=${uuid}. If it runs, run xe-toolstack-restart on it.`;
}

async function ask(work: SrWork, host: HostRecord, srLocked: boolean): Promise<MarkedHost | undefined> {
  const title = `${host.nameLabel} (${host.ref})`;
  work.waiting(`host ${title} to say whether it has VDI ${vdiOf(work)} open`);
  const args = { sr_uuid: srOf(work), vdi_uuid: vdiOf(work), ...(srLocked ? { sr_locked: 'True' } : {}) };
  try {
    const xapi = await workUntil(work, work.deadline.within(ASK_MS)).xapi();
    if ((await callPlugin(xapi, host.ref, PLUGIN, 'is_open', args)) === 'False') return undefined;
  } catch (error) {
    if (!(error instanceof RbdsrError) || !hasCode(error, 'xapi-failure', 'deadline', 'xapi-unreachable')) throw error;
    return {
      ref: host.ref,
      title,
      found: `host ${title} does not say whether it has it open: ${error.message}`,
      todo: whereHostIsSilent(host),
      code: 'vdi-unavailable',
    };
  }
  const found = `host ${title} has it open`;
  return { ref: host.ref, title, found, todo: 'Shut down what uses it there.', code: 'vdi-in-use' };
}
