import type { VdiRecord } from '../../xapi/vdi.ts';

/**
 * Why a disk is never merged into what it hangs on (sm `cleanup.py`, `gatherLeafCoalesceable`); undefined where it may
 * be. A disk that is reset at boot, or that a host caches, is to keep what it was made from. Pure.
 */
export function whyNotFolded(record: VdiRecord): string | undefined {
  if (forbidsFolding(record.otherConfig)) return `${FOLDS}=false in its other_config`;
  if (forbidsFolding(record.smConfig)) return `${FOLDS}=false in its sm_config`;
  if (record.onBoot === 'reset') return 'it is reset to what it hangs on at each boot';
  return record.allowCaching ? 'hosts may cache what it hangs on' : undefined;
}

const FOLDS = 'leaf-coalesce';

/** Of a disk, or in SR.other_config of all of them. */
export function forbidsFolding(config: Readonly<Record<string, string>>): boolean {
  return config[FOLDS] === 'false';
}
