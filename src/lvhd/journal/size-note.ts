import type { VdiUuid } from '../../base/ids.ts';

/**
 * What recovering is to restore, behind the value of a journal of ours: the size that the volume of a disk had, bytes.
 * It is believed beside this very node only, which the value names: what lies there in a journal of stock's may be
 * anything.
 */
export function sizeNote(node: VdiUuid, lvSizeBytes: number): string {
  return `rbdsr ${node} ${lvSizeBytes}`;
}

/** What such a note says, bytes; undefined for anything else. */
export function sizeNoted(note: string, node: VdiUuid): number | undefined {
  const [, size] = new RegExp(`^rbdsr ${node} ([1-9][0-9]{0,15})$`).exec(note) ?? [];
  return size === undefined ? undefined : Number(size);
}
