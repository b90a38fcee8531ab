import type { Deadline } from '../../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../../base/error.ts';
import { inTurns } from '../../../base/in-turns.ts';
import { objectHash, placementGroup } from '../../wire/object-hash.ts';
import type { FenceProof } from '../control-plane.ts';
import { isObject, number, object, parse } from '../tools/ceph-tool-json.ts';
import type { ClusterCommands } from './cluster-commands.ts';
import type { ClusterMap } from './cluster-map.ts';
import type { PoolObjects } from './pool-objects.ts';

/** An object name in one placement group; whether there is such an object does not matter. */
interface Probe {
  readonly objects: PoolObjects;
  readonly name: string;
}

/**
 * Whether a fence holds. The monitors have committed it before they answer, but an OSD serves a fenced client until it
 * has the new map; and it takes a map for each of its placement groups by itself. So each group of the image's pools is
 * asked something by the map that has the fence, which its OSD answers only when it goes by that map or a newer one.
 */
export class FenceProving {
  readonly #commands: ClusterCommands;
  readonly #map: ClusterMap;
  readonly #deadline: Deadline;
  readonly #answered = new Set<number>();
  readonly #silent = new Set<number>();
  #unserved = 0;

  constructor(commands: ClusterCommands, map: ClusterMap, deadline: Deadline) {
    this.#commands = commands;
    this.#map = map;
    this.#deadline = deadline;
  }

  async prove(pools: readonly PoolObjects[], clients: readonly string[]): Promise<FenceProof> {
    const epoch = await this.#committed(clients);
    this.#map.doubt();
    const byOsd = new Map<number, Probe[]>();
    for (const objects of pools) await this.#place(await this.#current(objects), byOsd);
    await Promise.all([...byOsd].map(([osd, probes]) => this.#ask(osd, probes, epoch)));
    const answered = [...this.#answered].filter((osd) => !this.#silent.has(osd));
    return { epoch, answered: answered.toSorted(up), silent: [...this.#silent].toSorted(up), unserved: this.#unserved };
  }

  /** A monitor may lag behind the one that has taken the fence. */
  #committed(clients: readonly string[]): Promise<number> {
    const wanted = clients.map(plain);
    return this.#deadline.until(
      async () => {
        const { epoch, fenced } = decodeFencedMap(await this.#commands.json({ prefix: 'osd dump' }, this.#deadline));
        return wanted.every((client) => fenced.has(client)) ? epoch : undefined;
      },
      'the fence to be in the map of OSDs',
      AGAIN_MS,
    );
  }

  /** With as many placement groups as the pool has by now. */
  async #current(objects: PoolObjects): Promise<PoolObjects> {
    const pool = await this.#map.pool(objects.pool.name, this.#deadline);
    this.#map.doubt({ pool: pool.id, namespace: objects.namespace, object: '' });
    if (!pool.isHashKnown) throw unknownHash(pool.name);
    return objects.ofPool(pool);
  }

  /** Which OSD serves each placement group now. */
  async #place(objects: PoolObjects, byOsd: Map<number, Probe[]>): Promise<void> {
    const { pool, namespace } = objects;
    await inTurns(namesForGroups(namespace, pool.groups), AT_ONCE, async (name) => {
      const { osd } = await this.#map.target({ pool: pool.id, namespace, object: name }, this.#deadline);
      if (osd < 0) this.#unserved += 1;
      else byOsd.set(osd, [...(byOsd.get(osd) ?? []), { objects, name }]);
    });
  }

  /** One that does not answer is asked no more. */
  async #ask(osd: number, probes: readonly Probe[], epoch: number): Promise<void> {
    await inTurns(probes, AT_ONCE, async ({ objects, name }) => {
      if (this.#silent.has(osd)) return;
      try {
        this.#answered.add(await objects.answeredBy(name, epoch, this.#deadline));
      } catch (error) {
        if (!hasCode(error, 'osd-unresponsive', 'deadline', 'monitor-unreachable', 'quorum-lost')) throw error;
        this.#silent.add(silentOne(error, osd));
      }
    });
  }
}

const AT_ONCE = 64;
const AGAIN_MS = 200;

function up(a: number, b: number): number {
  return a - b;
}

/** Another one may have come to serve it meanwhile. */
function silentOne(error: RbdsrError, asked: number): number {
  const osd = error.detail.facts?.['osd'];
  return typeof osd === 'number' && osd >= 0 ? osd : asked;
}

/** One name that falls into each placement group. Pure. */
export function namesForGroups(namespace: string, groups: number): readonly string[] {
  const names = new Map<number, string>();
  for (let at = 0; names.size < groups; at += 1) {
    const name = `rbdsr_fence_probe.${at}`;
    const group = placementGroup(objectHash(namespace, name), groups);
    if (!names.has(group)) names.set(group, name);
  }
  return [...names.values()];
}

/** `ceph osd dump`: since when it has these clients fenced is not in it, but its own epoch is. */
export function decodeFencedMap(text: string): { readonly epoch: number; readonly fenced: ReadonlySet<string> } {
  const command = 'ceph osd dump';
  const dump = object(parse(text, command), command);
  const entries = dump['blocklist'] ?? dump['blacklist'];
  return {
    epoch: number(dump, 'epoch', command),
    fenced: new Set(isObject(entries) ? Object.keys(entries).map(plain) : []),
  };
}

/** Some releases put the messenger before an address: `v1:10.0.0.5:0/1`. */
function plain(client: string): string {
  return client.replace(/^(?:v1|v2|any):/, '').toLowerCase();
}

function unknownHash(pool: string): RbdsrError {
  return new RbdsrError('control-plane-failed', {
    what: `whether the OSDs know of a fence is not told of pool ${JSON.stringify(pool)}`,
    expected: 'object_hash rjenkins, as every pool has that was made since 2010',
    found: 'another',
    facts: { errno: 'ENOTSUP' },
  });
}
