import type { Lvm } from '../lvm/lvm.ts';
import type { OpenLv } from './journal/journals.ts';

/** The logical volumes of an SR: what changes them, and what reads and writes in them. */
export interface Volumes {
  readonly lvm: Lvm;
  readonly openLv: OpenLv;
}
