import { list, number, object, parse, string } from './tools/ceph-tool-json.ts';
import type { PoolSpace } from './control-plane.ts';

/**
 * `ceph df`: what the objects of a pool have, and how much more fits. Nothing where the cluster has no manager, which
 * counts: then all figures are zeros. Before Nautilus (14) `bytes_used` is what is `stored` since then (ceph
 * `src/mon/PGMap.cc`, dump_object_stat_sum). Undefined for a pool that is not there.
 */
export function decodeUsage(text: string, pool: string): Omit<PoolSpace, 'flags'> | undefined {
  const answer = object(parse(text, COMMAND), COMMAND);
  const entry = list(answer['pools'], COMMAND).find((one) => string(one, 'name', COMMAND) === pool);
  if (entry === undefined) return undefined;
  const cluster = object(answer['stats'], COMMAND);
  if (number(cluster, 'total_bytes', COMMAND) === 0) return {};
  const stats = object(entry['stats'], COMMAND);
  const used = number(stats, Object.hasOwn(stats, 'stored') ? 'stored' : 'bytes_used', COMMAND);
  return { usedBytes: used, freeBytes: number(stats, 'max_avail', COMMAND) };
}

const COMMAND = 'ceph df';

/** `ceph osd dump`: what keeps an operator from sleeping, of the whole cluster and of one pool. Undefined as above. */
export function decodeFullness(text: string, pool: string): readonly string[] | undefined {
  const command = 'ceph osd dump';
  const dump = object(parse(text, command), command);
  const entry = list(dump['pools'], command).find((one) => string(one, 'pool_name', command) === pool);
  return entry === undefined ? undefined : fullness(flagsOf(dump['flags']), flagsOf(entry['flags_names']));
}

/** The names that Ceph has for what is set: "hashpspool,nearfull". */
export function flagsOf(text: unknown): readonly string[] {
  return typeof text === 'string' ? text.split(',').filter((flag) => flag !== '') : [];
}

export function fullness(ofCluster: readonly string[], ofPool: readonly string[]): readonly string[] {
  return [...HINDERING, ...WARNING].filter((flag) => ofCluster.includes(flag) || ofPool.includes(flag));
}

/** Nobody answers a write while one of these is set. */
export const HINDERING: readonly string[] = ['full', 'full_quota', 'pausewr', 'pauserd'];
const WARNING: readonly string[] = ['backfillfull', 'nearfull'];
