import type { Deadline } from '../../../base/deadline.ts';
import type { PeerAddress } from '../../wire/connection.ts';
import { objectHash, placementGroup } from '../../wire/object-hash.ts';
import type { ObjectPlace, Target } from '../../wire/osd-messages.ts';
import type { Whereabouts } from '../../wire/osd-session.ts';
import type { PoolSpace } from '../control-plane.ts';
import { poolMissing } from '../missing.ts';
import { decodeUsage, fullness, HINDERING } from '../pool-fullness.ts';
import { exitErrno } from '../tools/ceph-tool-errors.ts';
import type { ClusterCommands } from './cluster-commands.ts';
import { type ClusterDump, decodeDump, decodePlacement, type PoolFacts } from './cluster-dump.ts';

/**
 * Pools, OSDs and which of them serves what, as the monitors say it: neither the map of OSDs nor CRUSH is computed
 * here. Each answer is kept until it is doubted.
 */
export class ClusterMap implements Whereabouts {
  readonly #commands: ClusterCommands;
  #dump: Promise<ClusterDump> | undefined;
  /** By pool and placement group. */
  readonly #primaries = new Map<string, Promise<Target>>();

  constructor(commands: ClusterCommands) {
    this.#commands = commands;
  }

  async pools(deadline: Deadline): Promise<readonly PoolFacts[]> {
    return (await this.#known(deadline)).pools;
  }

  /** 'pool-missing'. */
  async pool(name: string, deadline: Deadline): Promise<PoolFacts> {
    const { pools } = await this.#known(deadline);
    const found = pools.find((pool) => pool.name === name);
    if (found !== undefined) return found;
    throw poolMissing(this.#commands.asker.cluster, name);
  }

  async poolById(id: number, deadline: Deadline): Promise<PoolFacts | undefined> {
    return (await this.#known(deadline)).pools.find((pool) => pool.id === id);
  }

  /** Why nothing can be written now, by the words that Ceph has for it: "full", "pausewr". */
  async hindrances(pool: PoolFacts, deadline: Deadline): Promise<readonly string[]> {
    return (await this.fullness(pool, deadline)).filter((flag) => HINDERING.includes(flag));
  }

  /** The same, and what warns of it. */
  async fullness(pool: PoolFacts, deadline: Deadline): Promise<readonly string[]> {
    return fullness((await this.#known(deadline)).flags, pool.flags);
  }

  async space(pool: PoolFacts, deadline: Deadline): Promise<PoolSpace> {
    const [answer, flags] = await Promise.all([
      this.#commands.json({ prefix: 'df' }, deadline),
      this.fullness(pool, deadline),
    ]);
    return { ...decodeUsage(answer, pool.name), flags };
  }

  async target(place: ObjectPlace, deadline: Deadline): Promise<Target> {
    const pool = await this.poolById(place.pool, deadline);
    if (pool === undefined) throw poolMissing(this.#commands.asker.cluster, `number ${place.pool}`);
    if (!pool.isHashKnown) return this.#ask(pool, place, deadline);
    const hash = objectHash(place.namespace, place.object);
    const group = placementGroup(hash, pool.groups);
    const key = keyOf(place.pool, group);
    let asked = this.#primaries.get(key);
    if (asked === undefined) {
      asked = this.#ask(pool, place, deadline);
      this.#primaries.set(key, asked);
      asked.catch(() => this.#primaries.delete(key));
    }
    const answer = await asked;
    if (answer.group === group) return { ...answer, hash };
    // The pool has got more placement groups since its facts were asked for.
    this.#primaries.delete(key);
    this.#dump = undefined;
    return this.#ask(pool, place, deadline);
  }

  async address(osd: number, deadline: Deadline): Promise<PeerAddress | undefined> {
    return (await this.#known(deadline)).osds.get(osd);
  }

  doubt(place?: ObjectPlace): void {
    this.#dump = place === undefined ? undefined : this.#dump;
    if (place === undefined) return;
    for (const key of this.#primaries.keys()) if (key.startsWith(`${place.pool}.`)) this.#primaries.delete(key);
  }

  #known(deadline: Deadline): Promise<ClusterDump> {
    if (this.#dump === undefined) {
      const asked = this.#commands.json({ prefix: 'osd dump' }, deadline).then(decodeDump);
      this.#dump = asked;
      asked.catch(() => {
        if (this.#dump === asked) this.#dump = undefined;
      });
    }
    return this.#dump;
  }

  async #ask({ name }: PoolFacts, { object, namespace }: ObjectPlace, deadline: Deadline): Promise<Target> {
    const nspace = namespace === '' ? {} : { nspace: namespace };
    try {
      return decodePlacement(await this.#commands.json({ prefix: 'osd map', pool: name, object, ...nspace }, deadline));
    } catch (error) {
      throw exitErrno(error) === 'ENOENT' ? poolMissing(this.#commands.asker.cluster, name) : error;
    }
  }
}

function keyOf(pool: number, group: number): string {
  return `${pool}.${group}`;
}
