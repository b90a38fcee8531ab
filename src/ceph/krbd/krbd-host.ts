import type { KernelTraits } from './kernel-traits.ts';
import type { KrbdRoots } from './krbd-sysfs.ts';
import type { MapOption } from './map-options.ts';

export interface MapRequest {
  readonly options: readonly MapOption[];
  /** The cluster the SR was made on. With it an existing mapping is adopted without any connection of ours. */
  readonly fsid?: string;
  /** What the image's size has to be, bytes, where it is known. */
  readonly sizeBytes?: number;
  readonly readOnly?: boolean;
}

/** What mapping and unmapping work with. */
export interface KrbdHost {
  readonly roots: KrbdRoots;
  readonly lockDir: string;
  readonly kernelLog: string;
  readonly kernel: KernelTraits;
}
