import type { ImageInfo, PoolSpace, Watcher } from '../ceph/control/control-plane.ts';
import type { Disks } from './disks.ts';

/**
 * An SR as it was found at one moment: what `rbdsr tree`, `fsck` and `report` show, and with --json print. Sizes are
 * bytes. What could not be asked is absent, and `missing` says why: nothing is guessed in its place.
 */
export interface Picture {
  readonly sr: string;
  /** ISO 8601. */
  readonly takenAt: string;
  readonly place: PlaceOfSr;
  readonly disks?: Disks;
  readonly host?: HostPart;
  readonly xapi?: XapiPart;
  readonly cluster?: ClusterPart;
  readonly missing: readonly MissingPart[];
}

/** The SR as this host has it attached, or a device or a file that holds its volume group. */
export type PlaceOfSr =
  | { readonly kind: 'attached'; readonly device: string; readonly image: string; readonly fsid?: string }
  | { readonly kind: 'device'; readonly device: string };

export interface MissingPart {
  readonly part: 'disks' | 'host' | 'xapi' | 'cluster' | 'pool';
  readonly why: string;
  /** False where nobody would expect it: a file has no host and no pool, a dom0 no ceph tools. */
  readonly wanted: boolean;
}

/** What this host knows, without xapi and without the cluster. */
export interface HostPart {
  /** The mappings of the SR's image here. */
  readonly mappings: readonly MappedImage[];
  readonly counts: readonly CountOfVdi[];
  /** Who has the volumes open, by the name of the volume: "pid 12 (tapdisk)". */
  readonly openers: Readonly<Record<string, string>>;
  /** The cephx users of the key file that HA's documents name; absent where there is none. */
  readonly keyFileUsers?: readonly string[];
}

export interface MappedImage {
  readonly device: string;
  readonly image: string;
  readonly sizeBytes: number;
  readonly fsid?: string;
  /** `client4123`, and its address: how it shows among the image's watchers. */
  readonly clientId?: string;
  readonly clientAddress?: string;
  readonly monitors: readonly string[];
  /** The cephx user, where the kernel tells. */
  readonly user?: string;
  readonly inUseBy?: string;
}

/** Why a volume is active on this host (src/lvhd/refcount.ts); `problem`: its file holds no counts. */
export interface CountOfVdi {
  readonly uuid: string;
  readonly normal: number;
  readonly binary: number;
  readonly problem?: string;
}

/** What the cluster says of the image. */
export interface ClusterPart {
  /** The clients that have it open. */
  readonly watchers: readonly Watcher[];
  /** Absent, with the pool, where `missing` says why. */
  readonly image?: ImageInfo;
  /** Of the pool that the image's data are in. */
  readonly pool?: PoolOfImage;
  /** Absent where it was not asked for. */
  readonly held?: HeldInCeph;
}

export interface PoolOfImage extends PoolSpace {
  readonly name: string;
}

/** Bytes, in whole objects, of which the cluster holds as many copies as the pool has. */
export interface HeldInCeph {
  readonly imageBytes: number;
  /** By the name of the volume. */
  readonly byVolume: Readonly<Record<string, number>>;
}

/** What xapi has recorded. It holds no key and no password. */
export interface XapiPart {
  readonly nameLabel: string;
  readonly type: string;
  readonly allocation?: string;
  readonly hosts: readonly PluggedHost[];
  readonly vdis: readonly RecordedVdi[];
  readonly keys: RecordedKeys;
}

/** A host with a PBD of the SR. */
export interface PluggedHost {
  readonly uuid: string;
  readonly name: string;
  readonly plugged: boolean;
  readonly isThis: boolean;
  readonly isMaster: boolean;
}

export interface RecordedVdi {
  readonly uuid: string;
  readonly nameLabel: string;
  readonly type: string;
  readonly managed: boolean;
  readonly readOnly: boolean;
  readonly isASnapshot: boolean;
  readonly virtualBytes: number;
  /** Hosts whose mark it bears; `host` is the name, undefined for one that the pool does not know. */
  readonly marks: readonly { readonly ref: string; readonly host?: string; readonly mode: string }[];
}

/** By what the hosts get at the image, as far as that is no secret. */
export interface RecordedKeys {
  readonly user?: string;
  readonly formerUsers: readonly string[];
  readonly monitors?: string;
}
