import { setTimeout } from 'node:timers/promises';
import type { Outcome } from '../machine/program.ts';

/** A trial image: of so many objects that no placement group of the pool is likely to be without one. */
const TRIAL = { size: '512K', objectSize: '4K' };
const PATIENCE_MS = 4000;

interface Tools {
  tool(program: 'rbd', ...args: readonly string[]): Promise<string>;
  tryTool(program: 'ceph', ...args: readonly string[]): Promise<Outcome>;
}

/**
 * For RBD, and so that every placement group answers. One with a single copy that gets a request at the wrong moment of
 * its making waits for a lease that nobody is there to acknowledge ("laggy"), for good (ceph 16.2, one cluster of three
 * OSDs in ten); peering again ends that.
 */
export async function preparePool(cluster: Tools, pool: string): Promise<void> {
  const over = new AbortController();
  const healing = peerLaggyGroups(cluster, over.signal);
  const image = `${pool}/trial`;
  try {
    await cluster.tool('rbd', 'pool', 'init', pool);
    await cluster.tool('rbd', 'create', '--size', TRIAL.size, '--object-size', TRIAL.objectSize, image);
    await cluster.tool('rbd', 'bench', '--io-type', 'write', '--io-size', '4K', '--io-total', TRIAL.size, image);
    await cluster.tool('rbd', 'rm', '--no-progress', image);
  } finally {
    over.abort();
    await healing;
  }
}

/** Until `over`, every few seconds: a pool that is well is ready before the first time. */
async function peerLaggyGroups(cluster: Tools, over: AbortSignal): Promise<void> {
  for (;;) {
    await setTimeout(PATIENCE_MS, undefined, { signal: over }).catch(() => undefined);
    if (over.aborted) return;
    for (const group of await laggyGroups(cluster)) await cluster.tryTool('ceph', 'pg', 'repeer', group);
  }
}

async function laggyGroups(cluster: Tools): Promise<readonly string[]> {
  const { code, stdout } = await cluster.tryTool('ceph', 'pg', 'ls', 'laggy', '--format', 'json');
  if (code !== 0) return [];
  // Where there is none, the list is not there at all.
  const { pg_stats: groups = [] } = JSON.parse(stdout) as { readonly pg_stats?: readonly { readonly pgid: string }[] };
  return groups.map(({ pgid }) => pgid);
}
