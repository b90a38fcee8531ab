import type { Deadline } from '../../../base/deadline.ts';
import { RbdsrError } from '../../../base/error.ts';
import { inTurns } from '../../../base/in-turns.ts';
import { MiB, roundUp } from '../../../base/units.ts';
import type { ClusterAccess } from '../../cluster/access.ts';
import { formatMonitors } from '../../cluster/monitors.ts';
import { type ImageSpec, printable } from '../../image/image-spec.ts';
import type { Messenger } from '../../wire/connection.ts';
import { MonitorSession } from '../../wire/monitor-session.ts';
import { OsdSession } from '../../wire/osd-session.ts';
import { eitherMessenger } from '../../wire/either-messenger.ts';
import { checkedClient, checkedLayout, refuseToShrink } from '../checked-change.ts';
import type {
  AllocatedPart,
  ControlPlane,
  FenceReach,
  ImageEntry,
  ImageInfo,
  ImageLayout,
  PoolSpace,
  Watcher,
} from '../control-plane.ts';
import { byEitherName, decodeFences } from '../fences.ts';
import { imageMissing, namespaceMissing } from '../missing.ts';
import { type ClusterFacts, decodeMonitorMap } from '../monitor-map.ts';
import { aboutNamespaces, aboutPlace, type Asker, type PoolPlace } from '../not-allowed.ts';
import { refuseUnspeakable } from '../tools/ceph-tool-errors.ts';
import { decodeFsid } from '../tools/ceph-tool-json.ts';
import { allocatedParts } from './allocated-parts.ts';
import { ClusterCommands } from './cluster-commands.ts';
import { ClusterMap } from './cluster-map.ts';
import { FenceProving } from './fence-proving.ts';
import { growImage } from './grow-image.ts';
import { headerOf, type ImageHeader, listDirectory, readImageHeader, readWatchers } from './image-objects.ts';
import { namesOfParent, readParent } from './image-parent.ts';
import { listNamespaces } from './list-namespaces.ts';
import { makeImage } from './make-image.ts';
import { PoolObjects } from './pool-objects.ts';

/** Whoever opened it closes it: its connections keep the process alive. */
export interface NativePlane extends ControlPlane, Disposable {
  /** The fsid, the whole monitor map, and which keys the cluster works with. */
  facts(deadline: Deadline): Promise<ClusterFacts>;
}

/**
 * The control plane without anybody's help: this process speaks to monitors and OSDs itself, as a cephx user that needs
 * no more than `profile rbd`. Connections are made when something is asked, and kept. 'cluster-incompatible' for a key
 * that is not of type aes.
 */
export function openNativePlane(access: ClusterAccess, messenger: Messenger = eitherMessenger): NativePlane {
  const monitors = new MonitorSession(access, messenger);
  const asker = { user: access.user, cluster: `the cluster at ${formatMonitors(access.monitors)}` };
  const commands = new ClusterCommands(asker, monitors);
  const map = new ClusterMap(commands);
  const osds = new OsdSession(monitors, messenger, map);
  const images = new NativeImages(asker, map, osds);
  return {
    listPools: async (deadline) =>
      (await map.pools(ending(deadline)))
        .filter(({ isForImages }) => isForImages)
        .map(({ name }) => ({ name, displayName: printable(name) })),
    facts: async (deadline) => decodeMonitorMap(await commands.json({ prefix: 'mon dump' }, ending(deadline))),
    clusterId: async (deadline) => decodeFsid(await commands.json({ prefix: 'fsid' }, ending(deadline))),
    listNamespaces: (pool, deadline) => images.namespaces(pool, ending(deadline)),
    poolSpace: (pool, deadline) => images.space(pool, ending(deadline)),
    listImages: (pool, namespace, deadline) => images.list(pool, namespace ?? '', ending(deadline)),
    imageInfo: (spec, deadline) => images.info(spec, ending(deadline)),
    createImage: (spec, sizeBytes, deadline, layout = {}) => images.create(spec, sizeBytes, layout, ending(deadline)),
    resizeImage: (spec, sizeBytes, deadline) => images.resize(spec, sizeBytes, ending(deadline)),
    allocated: (spec, deadline) => images.allocated(spec, ending(deadline)),
    watchers: (spec, deadline) => images.watchers(spec, ending(deadline)),
    fence: async (address, seconds, deadline) => {
      // The monitors take a number with a point only, and JSON.stringify writes none in a whole one.
      await blocklist(commands, { ...entry('add', address), expire: Math.ceil(seconds) + 1e-3 }, ending(deadline));
    },
    unfence: async (address, deadline) => {
      await blocklist(commands, entry('rm', address), ending(deadline));
    },
    fences: async (deadline) =>
      decodeFences(await byEitherName((name) => commands.json({ prefix: `osd ${name} ls` }, ending(deadline)))),
    proveFence: async (reach, clients, deadline) => {
      const soon = ending(deadline);
      const pools = await images.poolsOf(reach, soon);
      return new FenceProving(commands, map, soon).prove(pools, clients);
    },
    [Symbol.dispose]: () => {
      osds.close();
      monitors.close();
    },
  };
}

/** Whoever waits until `deadline` is told before it what was in the way. */
function ending(deadline: Deadline): Deadline {
  return deadline.within(deadline.leftMs * 0.9);
}

type Words = Readonly<Record<string, unknown>>;

/** Clusters before 16 call it blacklist. */
function blocklist(commands: ClusterCommands, words: Words, deadline: Deadline): Promise<string> {
  return byEitherName((name) =>
    commands.ask({ prefix: `osd ${name}`, ...words, [`${name}op`]: words['op'] }, deadline),
  );
}

function entry(op: 'add' | 'rm', address: string): Words {
  return { op, addr: checkedClient(address) };
}

class NativeImages {
  readonly #asker: Asker;
  readonly #map: ClusterMap;
  readonly #osds: OsdSession;

  constructor(asker: Asker, map: ClusterMap, osds: OsdSession) {
    this.#asker = asker;
    this.#map = map;
    this.#osds = osds;
  }

  /** Many headers are asked for at once. What cannot be opened is left out, as `rbd ls --long` does. */
  async list(pool: string, namespace: string, deadline: Deadline): Promise<readonly ImageEntry[]> {
    const objects = await this.#objects(pool, namespace, deadline);
    const names = await listDirectory(objects, deadline);
    if (names === undefined && namespace !== '') throw namespaceMissing(pool, namespace);
    const entryOf = async ([image, id]: readonly [string, string | undefined]): Promise<ImageEntry | undefined> => {
      const header = await (id === undefined
        ? readImageHeader(objects, image, deadline)
        : headerOf(objects, id, deadline));
      if (header === undefined) return undefined;
      const spec = { pool, ...(namespace === '' ? {} : { namespace }), image };
      return { spec, displayName: printable(image), sizeBytes: header.sizeBytes, format: header.format };
    };
    return (await inTurns([...(names ?? [])], AT_ONCE, entryOf)).filter((entry) => entry !== undefined);
  }

  async namespaces(pool: string, deadline: Deadline): Promise<readonly string[]> {
    try {
      return await listNamespaces(await this.#objects(pool, '', deadline), deadline);
    } catch (error) {
      throw aboutNamespaces(error);
    }
  }

  async space(pool: string, deadline: Deadline): Promise<PoolSpace> {
    return this.#map.space((await this.#objects(pool, '', deadline)).pool, deadline);
  }

  async info(spec: ImageSpec, deadline: Deadline): Promise<ImageInfo> {
    const { objects, header } = await this.#open(spec, deadline);
    const { sizeBytes, format, features, order, dataPool } = header;
    const pool = dataPool === undefined ? undefined : await this.#map.poolById(dataPool, deadline);
    const parent = await this.#parentOf(objects, header, deadline);
    return {
      sizeBytes,
      format,
      features,
      objectBytes: 2 ** order,
      ...(pool === undefined ? {} : { dataPool: pool.name }),
      ...(parent === undefined ? {} : { parent }),
    };
  }

  async #parentOf(objects: PoolObjects, header: ImageHeader, deadline: Deadline): Promise<ImageSpec | undefined> {
    const parent = await readParent(objects, header, deadline);
    const pool = parent === undefined ? undefined : await this.#map.poolById(parent.pool, deadline);
    if (parent === undefined || pool === undefined) return undefined;
    const there = await this.#objects(pool.name, parent.namespace, deadline, [objects.place]);
    return namesOfParent(there, parent, deadline);
  }

  async create(spec: ImageSpec, sizeBytes: number, layout: ImageLayout, deadline: Deadline): Promise<ImageInfo> {
    refuseUnspeakable(spec.image, 'image');
    const { objectBytes = DEFAULT_OBJECT_BYTES, dataPool = spec.pool } = checkedLayout(layout);
    const objects = await this.#objects(spec.pool, spec.namespace ?? '', deadline);
    if (objects.namespace !== '' && (await listDirectory(objects, deadline)) === undefined) {
      throw namespaceMissing(spec.pool, objects.namespace);
    }
    if ((await readImageHeader(objects, spec.image, deadline)) === undefined) {
      const image = { name: spec.image, sizeBytes: roundUp(MiB, sizeBytes), order: Math.log2(objectBytes) };
      const isElsewhere = dataPool !== spec.pool;
      const data = isElsewhere ? { data: await this.#dataObjects(objects, dataPool, deadline) } : {};
      await makeImage(objects, { ...image, ...data }, deadline);
    }
    return this.info(spec, deadline);
  }

  async resize(spec: ImageSpec, sizeBytes: number, deadline: Deadline): Promise<ImageInfo> {
    const { objects, header } = await this.#open(spec, deadline);
    const size = roundUp(MiB, sizeBytes);
    refuseToShrink(spec, header.sizeBytes, size);
    await growImage(objects, spec, header, size, deadline);
    return this.info(spec, deadline);
  }

  async allocated(spec: ImageSpec, deadline: Deadline): Promise<readonly AllocatedPart[]> {
    const { objects, header } = await this.#open(spec, deadline);
    const data = await this.#dataOf(objects, header, deadline);
    return allocatedParts(objects, data, spec, header, deadline);
  }

  async watchers(spec: ImageSpec, deadline: Deadline): Promise<readonly Watcher[]> {
    const { objects, header } = await this.#open(spec, deadline);
    return readWatchers(objects, header.header, deadline);
  }

  /** Those of an image, and besides them those of its data. */
  async poolsOf({ pools, namespace = '' }: FenceReach, deadline: Deadline): Promise<readonly PoolObjects[]> {
    const [pool = '', ...others] = pools;
    const objects = await this.#objects(pool, namespace, deadline);
    return [objects, ...(await Promise.all(others.map((other) => this.#besides(objects, other, deadline))))];
  }

  /** The objects that the image's data are in: those of its own pool, or of another. */
  async #dataOf(objects: PoolObjects, { dataPool }: ImageHeader, deadline: Deadline): Promise<PoolObjects> {
    const pool = dataPool === undefined ? undefined : await this.#map.poolById(dataPool, deadline);
    return pool === undefined ? objects : this.#besides(objects, pool.name, deadline);
  }

  /** 'image-missing', or 'pool-missing' for a pool or a namespace. */
  async #open(
    spec: ImageSpec,
    deadline: Deadline,
  ): Promise<{ readonly objects: PoolObjects; readonly header: ImageHeader }> {
    refuseUnspeakable(spec.image, 'image');
    const objects = await this.#objects(spec.pool, spec.namespace ?? '', deadline);
    const header = await readImageHeader(objects, spec.image, deadline);
    if (header !== undefined) return { objects, header };
    if (objects.namespace !== '' && (await listDirectory(objects, deadline)) === undefined) {
      throw namespaceMissing(spec.pool, objects.namespace);
    }
    throw imageMissing(this.#asker.cluster, spec);
  }

  /** Data of an image whose header is in `objects`. */
  #besides(objects: PoolObjects, pool: string, deadline: Deadline): Promise<PoolObjects> {
    return this.#objects(pool, objects.namespace, deadline, [objects.place]);
  }

  async #dataObjects(objects: PoolObjects, pool: string, deadline: Deadline): Promise<PoolObjects> {
    const data = await this.#besides(objects, pool, deadline);
    if (!data.pool.takesData) throw takesNoData(pool);
    return data;
  }

  async #objects(
    pool: string,
    namespace: string,
    deadline: Deadline,
    besides?: readonly PoolPlace[],
  ): Promise<PoolObjects> {
    const by = { asker: this.#asker, map: this.#map, osds: this.#osds };
    try {
      return new PoolObjects(await this.#map.pool(pool, deadline), namespace, by, besides);
    } catch (error) {
      throw aboutPlace(error, { pool, namespace });
    }
  }
}

const DEFAULT_OBJECT_BYTES = 4 * MiB;
/** Requests in flight. */
const AT_ONCE = 1024;

/** Parts of an object are written, which erasure code takes where it was told so. */
function takesNoData(pool: string): RbdsrError {
  return new RbdsrError('control-plane-failed', {
    what: `pool ${JSON.stringify(printable(pool))} takes no data of images`,
    expected: 'a replicated pool, or one of erasure code with allow_ec_overwrites',
    todo: '`ceph osd pool set POOL allow_ec_overwrites true`.',
    facts: { pool, errno: 'EINVAL' },
  });
}
