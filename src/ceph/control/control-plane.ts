import type { Deadline } from '../../base/deadline.ts';
import type { ImageSpec } from '../image/image-spec.ts';

export interface PoolEntry {
  readonly name: string;
  /** `name` with control characters escaped, for people. */
  readonly displayName: string;
}

export interface ImageEntry {
  readonly spec: ImageSpec;
  readonly displayName: string;
  /** Bytes. */
  readonly sizeBytes: number;
  readonly format: ImageFormat;
}

/** Ceph makes format 2 since Jewel (10); an image of format 1 has no features, no data pool and no parent. */
export type ImageFormat = 1 | 2;

export interface ImageInfo {
  readonly sizeBytes: number;
  readonly format: ImageFormat;
  /** Bits (features.ts). */
  readonly features: number;
  /** Bytes of one RADOS object. */
  readonly objectBytes: number;
  /** The pool of its data, where that is another than its own (`rbd create --data-pool`). */
  readonly dataPool?: string;
  /** The snapshot that holds what this image, a clone, does not hold itself. */
  readonly parent?: ImageSpec;
}

/** What an image is made with besides its size. */
export interface ImageLayout {
  /** A pool for its data, where that is to be another than its own. */
  readonly dataPool?: string;
  /** Bytes of one RADOS object, a power of two from 4 KiB to 32 MiB; 4 MiB where nobody says. */
  readonly objectBytes?: number;
}

/** How full a pool is. Figures come from the cluster's manager: absent where it has none. */
export interface PoolSpace {
  /** Bytes that its objects have, each counted once however many copies there are. */
  readonly usedBytes?: number;
  /** Bytes that can still be written before the first OSD of the pool is full. */
  readonly freeBytes?: number;
  /** What is set of "full", "full_quota", "pausewr", "pauserd", "backfillfull", "nearfull", the worst first. */
  readonly flags: readonly string[];
}

/** Bytes. */
export interface AllocatedPart {
  readonly offset: number;
  readonly length: number;
}

/** A client that has the image open. */
export interface Watcher {
  /** `10.0.0.5:0/123456789`: what fence() takes. */
  readonly address: string;
  /** N of `client.N`, which a mapping shows as its clientId. */
  readonly client: number;
}

/** An entry of the cluster's list of clients that it serves nothing any more; it has no beginning and no author. */
export interface Fence {
  /** `10.0.0.5:0/123456789`, or `10.0.0.5:0/0` for every client of that address. */
  readonly client: string;
  /** When it ends, as the cluster writes it. */
  readonly until: string;
}

/** What a fence has to keep a client from: the pools of an image and of its data, as the user may look at them. */
export interface FenceReach {
  readonly pools: readonly string[];
  readonly namespace?: string;
}

/** How far the OSDs have come that serve an image. */
export interface FenceProof {
  /** Of the first map of OSDs that was seen with all of it. */
  readonly epoch: number;
  /** OSDs that have answered for everything they serve of the image's pools, by that map or a newer one. */
  readonly answered: readonly number[];
  /** OSDs that are up and have not answered in time: what a fenced client has sent them may still be done. */
  readonly silent: readonly number[];
  /** Placement groups that no OSD serves now: whoever comes to serve them knows of the fence by then. */
  readonly unserved: number;
}

/**
 * What can be asked of a cluster and changed in it besides reading and writing an image. Mapping, attaching, scanning
 * and every VDI command do without it. Each call may fail with 'control-plane-missing' | 'control-plane-failed' |
 * 'cluster-auth' | 'monitor-unreachable' | 'osd-unresponsive' | 'dns' | 'pool-missing' | 'image-missing' | 'deadline'.
 */
export interface ControlPlane {
  /** Those that are marked for RBD images. */
  listPools(deadline: Deadline): Promise<readonly PoolEntry[]>;
  /**
   * Besides the default one. 'cluster-auth' for a user of one namespace alone: it has to know the name, and may list
   * the images there.
   */
  listNamespaces(pool: string, deadline: Deadline): Promise<readonly string[]>;
  poolSpace(pool: string, deadline: Deadline): Promise<PoolSpace>;
  listImages(pool: string, namespace: string | undefined, deadline: Deadline): Promise<readonly ImageEntry[]>;
  imageInfo(spec: ImageSpec, deadline: Deadline): Promise<ImageInfo>;
  /**
   * With the layering feature only, rounded up to a MiB. An image that is there already is left as it is. Returns what
   * is there now.
   */
  createImage(spec: ImageSpec, sizeBytes: number, deadline: Deadline, layout?: ImageLayout): Promise<ImageInfo>;
  /**
   * Grows, and tells whoever has it open; also where the image has this size already, for who has not been told.
   * 'invalid-argument' when it is larger; 'osd-unresponsive' with facts.missed, numbers of clients that say nothing.
   */
  resizeImage(spec: ImageSpec, sizeBytes: number, deadline: Deadline): Promise<ImageInfo>;
  watchers(spec: ImageSpec, deadline: Deadline): Promise<readonly Watcher[]>;
  /**
   * The parts of an image for which the cluster holds objects, whole objects in order. It asks for each object of the
   * image where that has no fast-diff: minutes for a large one.
   */
  allocated(spec: ImageSpec, deadline: Deadline): Promise<readonly AllocatedPart[]>;
  /**
   * No request of this client, by its address with nonce, is served any more for so many seconds; nonce 0 is all of its
   * address. The end of one that is fenced already stays as it was. OSDs learn of it a little later: `proveFence`.
   */
  fence(address: string, seconds: number, deadline: Deadline): Promise<void>;
  /** Needs more than profile rbd allows. */
  unfence(address: string, deadline: Deadline): Promise<void>;
  /** All that are fenced, by whomever. */
  fences(deadline: Deadline): Promise<readonly Fence[]>;
  /**
   * Waits until those fences are in the cluster's map, and whatever serves these pools goes by it: then no write that
   * was on its way lands there any more. 'control-plane-failed' with ENOTSUP where this form cannot tell.
   */
  proveFence(reach: FenceReach, clients: readonly string[], deadline: Deadline): Promise<FenceProof>;
  clusterId(deadline: Deadline): Promise<string>;
}
