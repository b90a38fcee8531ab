import { srRefOf } from '../work/subject.ts';
import type { SrWork } from '../work/work.ts';
import { allHosts, type HostRecord } from '../../xapi/host.ts';
import { allPbds } from '../../xapi/pbd.ts';

/** The hosts of the pool that have the SR plugged. */
export async function hostsWithSr(work: SrWork): Promise<readonly HostRecord[]> {
  const xapi = await work.xapi();
  const pbds = (await allPbds(xapi)).filter(({ sr, currentlyAttached }) => sr === srRefOf(work) && currentlyAttached);
  return (await allHosts(xapi)).filter(({ ref }) => pbds.some(({ host }) => host === ref));
}
