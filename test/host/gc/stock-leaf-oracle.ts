/**
 * What stock's recovery makes of a `leaf` journal, by the names of the volumes (sm `cleanup.py` 4.1,
 * `_handleInterruptedCoalesceLeaf`, and what it did to recorded SRs, test/fixtures/sr): it undoes where the parent, or
 * the leaf that was set aside, is there, and stops by an exception where the leaf is neither; with the leaf set aside
 * and the parent under the leaf's name it loses the disk. Shares nothing with src.
 */
export type StockEnd = 'nothing' | 'undone' | 'finished' | 'refused' | 'lost';

export function stockEnd(
  volumes: readonly string[],
  { leaf, parent }: { readonly leaf: string; readonly parent: string },
  isNoted: boolean,
): StockEnd {
  const has = (vdi: string): boolean => ['VHD-', 'LV-'].some((prefix) => volumes.includes(prefix + vdi));
  const isAside = volumes.includes(`VHD-OLD_${leaf}`);
  if (!isNoted) return 'nothing';
  if (!has(parent) && isAside) return 'lost';
  if (!has(parent)) return has(leaf) ? 'finished' : 'refused';
  return has(leaf) || isAside ? 'undone' : 'refused';
}
