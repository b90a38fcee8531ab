import { hasCode, RbdsrError } from '../../base/error.ts';
import type { SrUuid, VdiUuid } from '../../base/ids.ts';
import { vdiOfLv } from '../../lvhd/names.ts';
import { isGone, isXapiFailure } from '../../xapi/failure.ts';
import { allHosts, callPlugin, type HostRecord } from '../../xapi/host.ts';
import { poolMaster } from '../../xapi/pool.ts';
import { vdiByUuid, vdiSmConfig } from '../../xapi/vdi.ts';
import type { SrWork } from '../work/work.ts';
import { activeHosts } from './host-keys.ts';
import { tellsOfLateWriter } from '../work/late-writers.ts';
import { whereHostIsSilent } from './marked-hosts.ts';
import { PLUGIN } from './plugin-name.ts';
import { hostRefOf } from '../work/subject.ts';

export type MasterFunction = 'inflate' | 'deflate' | 'end_tracking';

/**
 * Has the pool master grow or shrink the volume of a disk, or remove its log of changed blocks, as it alone may change
 * LVM metadata. Throws unless it says that it has.
 */
export async function askMaster(work: SrWork, sr: SrUuid, vdi: VdiUuid, fn: MasterFunction): Promise<void> {
  await ask(work, await poolMaster(await work.xapi()), fn, sr, vdi);
}

/** After the master has changed the size of volumes: hosts that have their disks active load it. */
export async function refreshElsewhere(work: SrWork, sr: SrUuid, lvNames: readonly string[]): Promise<void> {
  for (const lv of lvNames) {
    const vdi = vdiOfLv(lv)?.uuid;
    if (vdi === undefined) continue;
    const others = (await hostsWith(work, vdi)).filter((host) => host !== hostRefOf(work));
    if (others.length === 0) continue;
    const known = (await allHosts(await work.xapi())).filter(({ ref }) => others.includes(ref));
    for (const host of known) await refreshOn(work, host, sr, vdi);
  }
}

/**
 * A host that the pool still has may be running: what it has loaded has to be known before the volume is used any
 * further.
 */
async function refreshOn(work: SrWork, host: HostRecord, sr: SrUuid, vdi: VdiUuid): Promise<void> {
  try {
    await ask(work, host.ref, 'refresh', sr, vdi);
  } catch (error) {
    if (!(error instanceof RbdsrError) || error.code !== 'xapi-failure') throw error;
    throw new RbdsrError(error.code, { ...error.detail, todo: whereHostIsSilent(host) });
  }
}

/**
 * Whether what failed may still come to be: no answer is no word that nothing happens any more. A plug-in that is not
 * there, or that says what is wrong, has ended; unless that is an earlier call there, which may be the very one that
 * had no answer.
 */
export function mayStillRun(error: unknown): boolean {
  if (hasCode(error, 'deadline', 'osd-unresponsive', 'xapi-unreachable')) return true;
  if (!isXapiFailure(error, 'XENAPI_PLUGIN_FAILURE') || !(error instanceof RbdsrError)) return false;
  const [, code = '', ...text] = String(error.detail.facts?.['xapiDetail']).split(' | ');
  if (tellsOfLateWriter(text.join(' | '))) return true;
  return !/^[a-z]+(-[a-z]+)*$/.test(code) || code === 'deadline' || code === 'osd-unresponsive';
}

/** Throws unless the host says that it has done so. */
export async function tellHost(
  work: SrWork,
  host: string,
  fn: 'pause' | 'resume',
  sr: SrUuid,
  vdi: VdiUuid,
): Promise<void> {
  await ask(work, host, fn, sr, vdi);
}

async function ask(work: SrWork, host: string, fn: string, sr: SrUuid, vdi: VdiUuid): Promise<void> {
  work.waiting(`plug-in ${PLUGIN} of host ${host} to ${fn} VDI ${vdi}`);
  const args = { sr_uuid: sr, vdi_uuid: vdi, host_ref: hostRefOf(work) };
  const answer = await callPlugin(await work.xapi(), host, PLUGIN, fn, args);
  if (answer === 'True') return;
  throw new RbdsrError('xapi-failure', {
    what: `plug-in ${PLUGIN}, function ${fn}, failed on host ${host}`,
    expected: 'True',
    found: JSON.stringify(answer.slice(0, 200)),
  });
}

/** A disk that xapi does not know is active nowhere. */
async function hostsWith(work: SrWork, vdi: VdiUuid): Promise<readonly string[]> {
  const xapi = await work.xapi();
  try {
    return activeHosts(await vdiSmConfig(xapi, await vdiByUuid(xapi, vdi)));
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}
