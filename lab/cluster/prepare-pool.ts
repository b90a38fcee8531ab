import { setTimeout } from 'node:timers/promises';
import type { Outcome } from '../machine/program.ts';

/** A trial image: of so many objects that no placement group of the pool is likely to be without one. */
const TRIAL = { size: '512K', objectSize: '4K' };
const PATIENCE_MS = 4000;
/** Each so-many-th time every OSD is made to peer again, whatever the groups say of themselves. */
const ALL_OF_THEM = 5;

interface Tools {
  tool(program: 'rbd' | 'ceph', ...args: readonly string[]): Promise<string>;
  tryTool(program: 'ceph', ...args: readonly string[]): Promise<Outcome>;
}

/**
 * For RBD, and so that every placement group answers. One with a single copy that gets a request at the wrong moment of
 * its making waits for a lease that nobody is there to acknowledge ("laggy"), for good (ceph 16.2, one cluster of three
 * OSDs in ten); peering again ends that. Where it does not become ready, the error has what Ceph says of itself.
 */
export async function preparePool(cluster: Tools, pool: string): Promise<void> {
  const over = new AbortController();
  const healing = peerAgain(cluster, over.signal);
  const image = `${pool}/trial`;
  try {
    await cluster.tool('rbd', 'pool', 'init', pool);
    await cluster.tool('rbd', 'create', '--size', TRIAL.size, '--object-size', TRIAL.objectSize, image);
    await cluster.tool('rbd', 'bench', '--io-type', 'write', '--io-size', '4K', '--io-total', TRIAL.size, image);
    await cluster.tool('rbd', 'rm', '--no-progress', image);
  } catch (error) {
    throw new Error(`the pool ${pool} does not become ready:\n${await stateOf(cluster)}`, { cause: error });
  } finally {
    over.abort();
    await healing;
  }
}

/**
 * Until `over`, every few seconds: a pool that is well is ready before the first time. A single group peers again only
 * where there is another OSD; one that is said to be down says that it is up, and then all of its groups do.
 */
async function peerAgain(cluster: Tools, over: AbortSignal): Promise<void> {
  for (let round = 1; ; round += 1) {
    await setTimeout(PATIENCE_MS, undefined, { signal: over }).catch(() => undefined);
    if (over.aborted) return;
    let all = round % ALL_OF_THEM === 0;
    for (const group of await laggyGroups(cluster)) {
      const { code } = await cluster.tryTool('ceph', 'pg', 'repeer', group);
      all ||= code !== 0;
    }
    if (all) await cluster.tryTool('ceph', 'osd', 'down', 'all');
  }
}

async function laggyGroups(cluster: Tools): Promise<readonly string[]> {
  const { code, stdout } = await cluster.tryTool('ceph', 'pg', 'ls', 'laggy', '--format', 'json');
  if (code !== 0) return [];
  // Where there is none, the list is not there at all.
  const { pg_stats: groups = [] } = JSON.parse(stdout) as { readonly pg_stats?: readonly { readonly pgid: string }[] };
  return groups.map(({ pgid }) => pgid);
}

/** What `ceph` tells of a cluster that does not do what it should. */
export async function stateOf(cluster: Tools): Promise<string> {
  const asked = [['status'], ['osd', 'dump'], ['pg', 'dump', 'pgs_brief']].map(async (args) => {
    const { stdout, stderr } = await cluster.tryTool('ceph', '--connect-timeout', '10', ...args);
    return `ceph ${args.join(' ')}:\n${stdout}${stderr}`;
  });
  return (await Promise.all(asked)).join('\n');
}
