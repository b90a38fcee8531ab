import { dirname } from 'node:path';
import type { SrUuid } from '../base/ids.ts';
import type { ImageSpec } from '../ceph/image/image-spec.ts';
import { ensureDir, readIfExists, removeIfExists, writeFileAtomic } from '../system/files.ts';
import type { HostPaths } from '../dom0/host-profile.ts';

/**
 * What sr_attach leaves for the commands after it, in `<runDir>/sr/<sr uuid>.json`: which image of which cluster. It
 * lies in memory and goes with the mapping at a reboot. It holds no secret, and it is only a hint: the kernel's own
 * list of mappings decides.
 */
export interface AttachedRecord {
  readonly spec: ImageSpec;
  readonly fsid?: string;
  readonly allocation: 'thick' | 'thin';
}

export function readAttachedRecord(paths: HostPaths, sr: SrUuid): AttachedRecord | undefined {
  const text = readIfExists(recordFile(paths, sr));
  return text === undefined ? undefined : (JSON.parse(text) as AttachedRecord);
}

export function writeAttachedRecord(paths: HostPaths, sr: SrUuid, record: AttachedRecord): void {
  const file = recordFile(paths, sr);
  ensureDir(dirname(file), 0o755);
  writeFileAtomic(file, `${JSON.stringify(record)}\n`, 0o644);
}

export function removeAttachedRecord(paths: HostPaths, sr: SrUuid): void {
  removeIfExists(recordFile(paths, sr));
}

/** Where the record of an SR is. */
export function recordFile(paths: HostPaths, sr: SrUuid): string {
  return `${paths.runDir}/sr/${sr}.json`;
}
