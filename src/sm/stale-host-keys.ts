import { removeMapKey } from '../xapi/map-keys.ts';
import { vdisOfSr } from '../xapi/vdi.ts';
import type { SmCall } from './handler.ts';
import { activeHosts } from './host-keys.ts';

/**
 * A host that attaches an SR has none of its VDIs active, nor is it activating one; on the master no VDI can be paused either (sm `SRCommand`,
 * reset_sr).
 */
export async function clearStaleHostKeys(call: SmCall): Promise<void> {
  const { srRef, hostRef, srMaster } = call.request;
  if (srRef === undefined || hostRef === undefined) return;
  const xapi = await call.xapi();
  const stale = [`host_${hostRef}`, ...(srMaster ? ['paused'] : [])];
  for (const vdi of await vdisOfSr(xapi, srRef)) {
    const isOurs = activeHosts(vdi.smConfig).join() === hostRef;
    for (const key of isOurs ? [...stale, 'activating'] : stale) {
      if (Object.hasOwn(vdi.smConfig, key)) await removeMapKey(xapi, 'VDI.sm_config', vdi.ref, key);
    }
  }
}
