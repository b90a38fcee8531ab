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
}

export interface ImageInfo {
  readonly sizeBytes: number;
  /** Bits (features.ts). */
  readonly features: number;
  /** Bytes of one RADOS object. */
  readonly objectBytes: number;
  /** The pool of its data, where that is another than its own (`rbd create --data-pool`). */
  readonly dataPool?: string;
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

/**
 * What can be asked of a cluster and changed in it besides reading and writing an image. Mapping, attaching, scanning
 * and every VDI command do without it. Each call may fail with 'control-plane-missing' | 'control-plane-failed' |
 * 'cluster-auth' | 'monitor-unreachable' | 'osd-unresponsive' | 'dns' | 'pool-missing' | 'image-missing' | 'deadline'.
 */
export interface ControlPlane {
  /** Those that are marked for RBD images. */
  listPools(deadline: Deadline): Promise<readonly PoolEntry[]>;
  listImages(pool: string, namespace: string | undefined, deadline: Deadline): Promise<readonly ImageEntry[]>;
  imageInfo(spec: ImageSpec, deadline: Deadline): Promise<ImageInfo>;
  /**
   * With the layering feature only, rounded up to a MiB. An image that is there already is left as it is. Returns what
   * is there now.
   */
  createImage(spec: ImageSpec, sizeBytes: number, deadline: Deadline): Promise<ImageInfo>;
  /** Grows; done when the image has this size already, 'invalid-argument' when it is larger. */
  resizeImage(spec: ImageSpec, sizeBytes: number, deadline: Deadline): Promise<ImageInfo>;
  watchers(spec: ImageSpec, deadline: Deadline): Promise<readonly Watcher[]>;
  /**
   * The parts of an image for which the cluster holds objects, whole objects in order. It asks for each object of the
   * image where that has no fast-diff: minutes for a large one.
   */
  allocated(spec: ImageSpec, deadline: Deadline): Promise<readonly AllocatedPart[]>;
  /** No request of this client, by its address with nonce, is served any more for so many seconds. */
  fence(address: string, seconds: number, deadline: Deadline): Promise<void>;
  /** Needs more than profile rbd allows. */
  unfence(address: string, deadline: Deadline): Promise<void>;
  clusterId(deadline: Deadline): Promise<string>;
}
