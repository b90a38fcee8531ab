import type { DrivenVdi } from '../../lvhd/lv-table.ts';
import { removeMapKey, setMapKey } from '../../xapi/map-keys.ts';
import { vdiSmConfig } from '../../xapi/vdi.ts';
import type { SrWork } from '../work/work.ts';
import { kindKeys } from './vdi-kind.ts';

/** Which blocks a disk has of its own, as stock's collector keeps it (sm `cleanup.py`, `DB_VHD_BLOCKS`). */
const BLOCKS = 'vhd-blocks';

/** xapi's record of a disk that has got the volume of its parent: of its kind, and on what that hung. */
export async function recordMerged(work: SrWork, ref: string, into: DrivenVdi): Promise<void> {
  const xapi = await work.xapi();
  const map = 'VDI.sm_config';
  const found = await vdiSmConfig(xapi, ref);
  const wanted = {
    ...kindKeys(into.kind, work.profile),
    ...(into.parentUuid === undefined ? {} : { 'vhd-parent': into.parentUuid }),
  };
  for (const [key, value] of Object.entries(wanted))
    if (found[key] !== value) await setMapKey(xapi, map, ref, key, value);
  for (const key of [BLOCKS, 'vhd-parent'])
    if (Object.hasOwn(found, key) && !Object.hasOwn(wanted, key)) await removeMapKey(xapi, map, ref, key);
}
