import type { DiskNode } from './disks.ts';
import type { Picture } from './picture.ts';

/** Where a volume is in use, in words for people; names in them are as they were found. */
export interface UseOfNode {
  readonly text: string;
  readonly writes: boolean;
}

/**
 * By xapi's marks on the hosts that have the disk active, and by what this host sees. Without xapi other hosts are not
 * known, and nothing is said of them. Pure.
 */
export function usesOfDisk(picture: Picture, node: DiskNode): readonly UseOfNode[] {
  const record = node.old ? undefined : picture.xapi?.vdis.find(({ uuid }) => uuid === node.uuid);
  const marked = (record?.marks ?? []).map(({ host, ref, mode }) => ({
    text: `on ${host ?? `unknown host ${ref}`} (${mode})`,
    writes: mode === 'RW',
  }));
  const opener = picture.host?.openers[node.lvName];
  if (!node.active) return marked;
  const here = opener === undefined ? 'active here' : `active here, open by ${opener}`;
  return [...marked, { text: here, writes: false }];
}

/** Whether somebody may be writing to it now, or nobody can tell. */
export function mayBeWritten(picture: Picture, node: DiskNode): boolean {
  if (node.active || usesOfDisk(picture, node).some(({ writes }) => writes)) return true;
  return picture.place.kind === 'attached' && picture.xapi === undefined;
}
