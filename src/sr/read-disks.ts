import type { VdiUuid } from '../base/ids.ts';
import type { VgReport } from '../lvm/report.ts';
import type { AttachedSr } from './attached-sr.ts';
import { readChain, readNodes, type SrNodes } from './read-sr.ts';
import type { SrWork } from './work/work.ts';

/** So many volumes are named, and of more only how many there are. */
const NAMED = 4;

/**
 * The SR as a whole. A header that nobody serves ends it at the call's deadline with the name of its volume; others use
 * their disks meanwhile (work-resources.ts). 'deadline' | 'lock-busy' beside an earlier command that is stuck in the
 * same. `known`: a report that is as new as one would be.
 */
export function readDisks(work: SrWork, sr: AttachedSr, known?: VgReport): Promise<SrNodes> {
  const silent = new Set<string>();
  const waitedFor = (): string => (silent.size === 0 ? `LVM to read ${sr.vg}` : headersOf(silent, sr));
  work.waiting(`LVM and the headers of the disks on ${sr.mapping.device}`);
  return work.reading(sr.uuid, () => work.deadline.race(readNodes(sr, silent, known), waitedFor));
}

/** One disk with its parents: a header of theirs that nobody serves is their own trouble. */
export function readDisk(work: SrWork, sr: AttachedSr, vdi: VdiUuid): Promise<SrNodes> {
  work.waiting(`LVM to read ${sr.vg}, and the headers of VDI ${vdi} and its parents`);
  return work.reading(sr.uuid, () => readChain(sr, vdi), { whole: false });
}

/**
 * The same while guests wait for it: LVM is asked only where the metadata on the device are not whole. Which volumes
 * are open is not known then.
 */
export function readDiskInPause(work: SrWork, sr: AttachedSr, vdi: VdiUuid): Promise<SrNodes> {
  work.waiting(`the metadata of ${sr.vg}, and the headers of VDI ${vdi} and its parents`);
  const read = async (): Promise<SrNodes> => readChain(sr, vdi, await sr.lvm.committedReport());
  const waitedFor = (): string => `the metadata of ${sr.vg} on ${sr.mapping.device}`;
  return work.reading(sr.uuid, () => work.deadline.race(read(), waitedFor), { whole: false });
}

function headersOf(lvNames: ReadonlySet<string>, { mapping }: AttachedSr): string {
  const names = [...lvNames].slice(0, NAMED).join(', ');
  const more = lvNames.size > NAMED ? ` and ${lvNames.size - NAMED} more` : '';
  return `the header of ${names}${more} on ${mapping.device}`;
}
