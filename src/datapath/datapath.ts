import type { Deadline } from '../base/deadline.ts';
import type { SrUuid, VdiUuid } from '../base/ids.ts';

/**
 * How a guest reaches a disk on this host. Every verb decides by reading the state: activating an active disk and
 * deactivating an inactive one succeed and change nothing, and either finishes what a call that was cut short has left.
 * The caller holds the VDI's lock.
 */
export interface DataPath {
  /**
   * Makes the disk usable through its links (links.ts). The logical volumes are active already.
   * 'tapdisk-failed' | 'tapdisk-running' | 'vdi-unavailable' (a link that points elsewhere) | 'deadline'.
   */
  activate(disk: Disk, deadline: Deadline): Promise<void>;
  /** The reverse; the logical volumes stay active. Also 'device-busy' where the disk is still in use. */
  deactivate(disk: DiskId, deadline: Deadline): Promise<void>;
  /**
   * What a guest asks from now on waits; what was asked is done and flushed, and nothing of the volumes is open any
   * more, so that they can be replaced. False where the disk is not active. Paused already: nothing happens.
   */
  pause(disk: DiskId, deadline: Deadline): Promise<boolean>;
  /**
   * Goes on with the volumes that `disk` names, which are active; whether it may be written stays. Not paused, or not
   * active: nothing happens.
   */
  resume(disk: Disk, deadline: Deadline): Promise<void>;
  /** Undefined where the disk is not active. */
  status(disk: DiskId, deadline: Deadline): Promise<DiskStatus | undefined>;
  /**
   * Of a disk that is not active: whether deactivating it has said, or is still to say, that answered writes may be
   * missing. Until it is released, no other host may write.
   */
  mayHaveLost(disk: DiskId): boolean;
  /** The same where nobody has been told so yet. */
  hasUntoldLoss(disk: DiskId): boolean;
  /** Every active disk of the SR on this host. */
  list(sr: SrUuid, deadline: Deadline): Promise<readonly DiskStatus[]>;
}

export interface DiskId {
  readonly sr: SrUuid;
  readonly vdi: VdiUuid;
}

/** The disk whose logical volume has a path, by the path alone; whoever names the volumes says it. */
export type DiskOfPath = (path: string) => DiskId | undefined;

export type DiskKind = 'vhd' | 'aio';

export interface Disk extends DiskId {
  readonly kind: DiskKind;
  /** Node of the disk's own logical volume: `/dev/VG_XenStorage-<sr>/VHD-<vdi>`. */
  readonly target: string;
  readonly writable: boolean;
  /** Nodes of the ancestors' logical volumes, nearest first; empty for a raw disk or one without a parent. */
  readonly parents: readonly ParentDisk[];
  /** Where blktap's kernel module has pools of ring memory. */
  readonly memoryPool?: MemoryPool;
}

export interface ParentDisk {
  readonly kind: DiskKind;
  readonly path: string;
}

export interface MemoryPool {
  /** The SR's uuid, or VDI.other_config `mem-pool`. */
  readonly name: string;
  /** Of the whole pool, pages. */
  readonly pages?: number;
}

export interface DiskStatus extends DiskId {
  /** Of the tapdisk or of our NBD server. */
  readonly pid: number;
  /** The block device a guest is given; undefined where the only way in is a socket. */
  readonly device?: string;
  readonly paused: boolean;
}
