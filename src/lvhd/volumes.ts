import type { VdiUuid } from '../base/ids.ts';
import type { Lvm } from '../lvm/lvm.ts';
import type { OpenLv } from './journal/journals.ts';

/** The logical volumes of an SR: what changes them, and what reads and writes in them. */
export interface Volumes {
  readonly lvm: Lvm;
  readonly openLv: OpenLv;
}

/** Those of an SR in which something was interrupted. */
export interface RecoveredVolumes extends Volumes {
  /**
   * False where a collector of another host may be at work, or late: then nothing is given back that it may write to.
   * Absent where there is no other host.
   */
  readonly othersRest?: (vdi: VdiUuid) => Promise<boolean>;
}
