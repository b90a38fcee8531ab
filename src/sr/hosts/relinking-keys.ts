import { removeMapKey } from '../../xapi/map-keys.ts';
import type { VdiRecord } from '../../xapi/vdi.ts';
import type { SrWork } from '../work/work.ts';

/** In VDI.sm_config: the collector changes what the disk hangs on, and nobody is to begin to use it. */
export const RELINKING = 'relinking';

/**
 * Takes away what a collector has left that was killed: it is set and removed under one lock of the SR, which the
 * caller holds on the master, so that whatever is found keeps a disk from being used for nothing.
 */
export async function endRelinking(work: SrWork, records: readonly VdiRecord[]): Promise<void> {
  for (const { ref, uuid, smConfig } of records) {
    if (!Object.hasOwn(smConfig, RELINKING)) continue;
    await removeMapKey(await work.xapi(), 'VDI.sm_config', ref, RELINKING);
    work.log.warn(`VDI ${uuid} was kept from use by a collector that is over: it can be used again`);
  }
}
