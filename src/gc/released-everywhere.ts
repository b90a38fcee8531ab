import { RbdsrError } from '../base/error.ts';
import type { VdiUuid } from '../base/ids.ts';
import { settled } from '../base/settle.ts';
import { hostsWithSr } from '../sr/hosts/hosts-with-sr.ts';
import { whereHostIsSilent } from '../sr/hosts/marked-hosts.ts';
import { PLUGIN } from '../sr/hosts/plugin-name.ts';
import { hostRefOf, srOf } from '../sr/work/subject.ts';
import type { SrWork } from '../sr/work/work.ts';
import { callPlugin, type HostRecord } from '../xapi/host.ts';

/**
 * Every host that has the SR lets the volume of a node go on which nothing hangs, whoever had a disk on it in use:
 * what a host has active leads to extents that are another disk's soon. 'lock-busy' where one has it open, or does not
 * say that it has not: that xapi takes it for dead proves nothing.
 */
export async function releasedEverywhere(work: SrWork, node: VdiUuid): Promise<void> {
  await settled((await hostsWithSr(work)).map((host) => release(work, host, node)));
}

async function release(work: SrWork, host: HostRecord, node: VdiUuid): Promise<void> {
  const args = { sr_uuid: srOf(work), vdi_uuid: node, host_ref: hostRefOf(work) };
  const answer = await callPlugin(await work.xapi(), host.ref, PLUGIN, 'release', args).catch((error: unknown) => {
    throw held(host, node, 'no word that it has let it go', error);
  });
  if (answer !== 'True') throw held(host, node, JSON.stringify(answer.slice(0, 200)));
}

function held(host: HostRecord, node: VdiUuid, found: string, cause?: unknown): RbdsrError {
  return new RbdsrError('lock-busy', {
    what: `host ${host.nameLabel} may have the volume of VDI ${node} active, on which nothing hangs any more`,
    found,
    todo: whereHostIsSilent(host),
    ...(cause === undefined ? {} : { cause }),
  });
}
