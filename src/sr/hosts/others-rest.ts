import { RbdsrError } from '../../base/error.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { settled } from '../../base/settle.ts';
import { whereHostIsSilent } from './marked-hosts.ts';
import { PLUGIN } from './plugin-name.ts';
import { hostRefOf, srOf } from '../work/subject.ts';
import type { SrWork } from '../work/work.ts';
import { callPlugin, type HostRecord } from '../../xapi/host.ts';
import { hostsWithSr } from './hosts-with-sr.ts';

/** 'lock-busy' where a collector of another host with the SR is alive, or where that host does not say. */
export async function othersRest(work: SrWork, node: VdiUuid): Promise<void> {
  const others = (await hostsWithSr(work)).filter(({ ref }) => ref !== hostRefOf(work));
  await settled(others.map((host) => mustRest(work, host, node)));
}

async function mustRest(work: SrWork, host: HostRecord, node: VdiUuid): Promise<void> {
  const args = { sr_uuid: srOf(work), vdi_uuid: node, host_ref: hostRefOf(work) };
  const answer = await callPlugin(await work.xapi(), host.ref, PLUGIN, 'is_collecting', args).catch(
    (error: unknown) => {
      throw alive(host, node, 'no word from it', error);
    },
  );
  if (answer !== 'False') throw alive(host, node, 'a collector there that is not over');
}

function alive(host: HostRecord, node: VdiUuid, found: string, cause?: unknown): RbdsrError {
  return new RbdsrError('lock-busy', {
    what: `a collector on host ${host.nameLabel} may still write into what VDI ${node} hangs on`,
    found,
    todo: whereHostIsSilent(host),
    ...(cause === undefined ? {} : { cause }),
  });
}
