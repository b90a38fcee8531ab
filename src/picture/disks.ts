import type { ErrorCode } from '../base/error.ts';
import type { VdiNode } from '../lvhd/lv-table.ts';
import type { MetadataRecord } from '../lvhd/metadata/record.ts';
import type { SrMetadata } from '../lvhd/metadata/sr-sectors.ts';
import type { LvReport, VgReport } from '../lvm/report.ts';
import type { ImageFinding } from '../vhd/check/findings.ts';

/** What lies on the SR's image, read without changing anything. Sizes are bytes. */
export interface Disks {
  readonly vg: Omit<VgReport, 'lvs'>;
  /** Every logical volume. */
  readonly volumes: readonly LvReport[];
  /** Those that hold a disk, by the name of the volume. */
  readonly nodes: readonly DiskNode[];
  readonly journals: readonly InterruptedOperation[];
  /** Absent where there is no metadata volume. */
  readonly metadata?: MetadataPart;
  /** Volumes came, went or changed while it was looked at, each time: a command was at work. */
  readonly unsettled: boolean;
}

export interface DiskNode extends Omit<VdiNode, 'scanError'> {
  /** Absent for a raw disk, and where it cannot be read. */
  readonly vhd?: VhdPart;
  /** Of a VHD, by itself, as `rbdsr vhd check` finds it. */
  readonly findings: readonly ImageFinding[];
  /** Why it cannot be read. */
  readonly problem?: ReadProblem;
}

/** What a volume's VHD says of itself. */
export interface VhdPart {
  /** Of the image, not of the VDI. */
  readonly uuid: string;
  /** The uuid of the parent's image; absent without a parent and above a raw one. */
  readonly parentImage?: string;
  /** Volumes that its names of the parent lead to, each once; a name that leads to none as it stands there. */
  readonly parentNames: readonly string[];
  readonly allocatedBlocks: number;
  readonly blocks: number;
  /** What it needs of its volume: metadata, data, and the footer behind them. */
  readonly usedBytes: number;
}

export interface ReadProblem {
  readonly code: ErrorCode;
  readonly message: string;
}

/** An operation that a journal notes down. */
export interface InterruptedOperation {
  readonly lvName: string;
  /** Absent where the name says nothing, as `problem` says then. */
  readonly type?: string;
  readonly vdi?: string;
  readonly value?: string;
  readonly problem?: ReadProblem;
}

/** The metadata volume, as far as it can be read. */
export interface MetadataPart {
  readonly sr?: SrMetadata;
  readonly vdis: readonly MetadataRecord[];
  readonly problems: readonly string[];
}
