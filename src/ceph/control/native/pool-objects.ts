import type { Deadline } from '../../../base/deadline.ts';
import { RbdsrError } from '../../../base/error.ts';
import { printable } from '../../image/image-spec.ts';
import { type Operation, statObject } from '../../wire/osd-messages.ts';
import type { OsdSession } from '../../wire/osd-session.ts';
import { errnoNamed } from '../tools/ceph-tool-errors.ts';
import { type Asker, poolNotAllowed, type PoolPlace } from '../not-allowed.ts';
import type { PoolFacts } from './cluster-dump.ts';
import type { ClusterMap } from './cluster-map.ts';

type Osds = Pick<OsdSession, 'operate' | 'notify'>;

export interface ObjectsBy {
  readonly asker: Asker;
  readonly map: Pick<ClusterMap, 'hindrances'>;
  readonly osds: Osds;
}

/** The objects of one pool, or of one namespace in it, as one user, which for the same may need `besides` too. */
export class PoolObjects {
  readonly pool: PoolFacts;
  /** Empty for the default one. */
  readonly namespace: string;
  readonly #by: ObjectsBy;
  readonly #asker: Asker;
  readonly #besides: readonly PoolPlace[];
  readonly #map: Pick<ClusterMap, 'hindrances'>;
  readonly #osds: Osds;

  constructor(pool: PoolFacts, namespace: string, by: ObjectsBy, besides: readonly PoolPlace[] = []) {
    this.#by = by;
    this.pool = pool;
    this.namespace = namespace;
    this.#asker = by.asker;
    this.#map = by.map;
    this.#osds = by.osds;
    this.#besides = besides;
  }

  get place(): PoolPlace {
    return { pool: this.pool.name, ...(this.namespace === '' ? {} : { namespace: this.namespace }) };
  }

  /**
   * The output of each operation; undefined for one that may fail and did. Whatever else fails is an error:
   * 'cluster-auth' names the capability that is missing, 'control-plane-failed' has the errno.
   */
  async read(
    object: string,
    operations: readonly Operation[],
    deadline: Deadline,
  ): Promise<readonly (Buffer | undefined)[]> {
    return this.#operate(object, operations, 'read', deadline);
  }

  /** The same. Refused while the cluster or the pool is full, when nobody would answer. */
  async write(object: string, operations: readonly Operation[], deadline: Deadline): Promise<void> {
    const hindrances = await this.#map.hindrances(this.pool, deadline);
    if (hindrances.length > 0) throw this.#hindered(hindrances);
    await this.#operate(object, operations, 'write', deadline);
  }

  /** The same by newer facts of the pool. */
  ofPool(pool: PoolFacts): PoolObjects {
    return new PoolObjects(pool, this.namespace, this.#by, this.#besides);
  }

  /** Which OSD has answered by this map of OSDs or a newer one, whether the object is there or not. */
  async answeredBy(object: string, epoch: number, deadline: Deadline): Promise<number> {
    const place = { pool: this.pool.id, namespace: this.namespace, object };
    const { result, osd } = await this.#osds.operate(place, [statObject], 'read', deadline, epoch);
    if (result < 0 && errnoNamed(-result) !== 'ENOENT') throw this.#refused(object, result);
    return osd;
  }

  /** Tells all who watch the object; the clients that do not answer in time. */
  async notify(
    object: string,
    payload: Buffer,
    timeoutSeconds: number,
    deadline: Deadline,
  ): Promise<readonly bigint[]> {
    const place = { pool: this.pool.id, namespace: this.namespace, object };
    return (await this.#osds.notify(place, payload, timeoutSeconds, deadline)).missed;
  }

  async #operate(
    object: string,
    operations: readonly Operation[],
    access: 'read' | 'write',
    deadline: Deadline,
  ): Promise<readonly (Buffer | undefined)[]> {
    const place = { pool: this.pool.id, namespace: this.namespace, object };
    const { result, each } = await this.#osds.operate(place, operations, access, deadline);
    if (result < 0) throw this.#refused(object, result);
    return each.map(({ result: own, output }) => (own < 0 ? undefined : output));
  }

  #refused(object: string, result: number): RbdsrError {
    const errno = errnoNamed(-result) ?? `errno ${-result}`;
    if (errno === 'EPERM' || errno === 'EACCES') return poolNotAllowed(this.#asker, this.place, this.#besides);
    return new RbdsrError('control-plane-failed', {
      what: `the OSDs refuse what was asked of the object ${printable(object)} in pool ${JSON.stringify(printable(this.pool.name))}`,
      found: errno === 'ESHUTDOWN' ? 'this client was fenced (EBLOCKLISTED)' : errno,
      facts: { object, errno },
    });
  }

  #hindered(flags: readonly string[]): RbdsrError {
    return new RbdsrError('control-plane-failed', {
      what: `nothing can be written to pool ${JSON.stringify(printable(this.pool.name))} now: ${flags.join(', ')}`,
      expected: 'neither the cluster nor the pool full, nor writes paused',
      found: 'ENOSPC',
      todo: '`ceph health detail` names what is full; `ceph osd unset pause` ends a pause.',
      facts: { flags: flags.join(','), errno: 'ENOSPC' },
    });
  }
}
