import { Deadline } from '../base/deadline.ts';
import { messageOf } from '../base/error.ts';
import type { MappingClaim } from '../ceph/stale-mappings.ts';
import { detectProfile, hostPaths } from '../sm/host-profile.ts';
import { readHostSettings } from '../sm/host-settings.ts';
import { readInventory } from '../sm/inventory.ts';
import { loginXapi } from '../xapi/client.ts';
import { hostByUuid } from '../xapi/host.ts';
import { allPbds, type PbdRecord } from '../xapi/pbd.ts';
import { allSrs, type SrRecord } from '../xapi/sr.ts';

const XAPI_MS = 30_000;

/** The SRs of type rbd with a PBD on this host. */
export interface Claims {
  /** Undefined where xapi cannot tell; `problem` says why. */
  readonly claims?: readonly MappingClaim[];
  readonly problem?: string;
}

/** Asks the local xapi. Never throws: a host whose xapi is down is when an administrator looks. */
export async function claimsOf(root: string): Promise<Claims> {
  try {
    const paths = hostPaths(root, '');
    const inventory = readInventory(paths.inventory);
    const { xapiSocket } = detectProfile(readHostSettings(paths.settings), inventory, root).paths;
    const xapi = await loginXapi({ socketPath: xapiSocket, deadline: Deadline.after(XAPI_MS) });
    try {
      const host = await hostByUuid(xapi, inventory.hostUuid);
      const srs = new Map((await allSrs(xapi)).filter(({ type }) => type === 'rbd').map((sr) => [sr.ref, sr]));
      return { claims: (await allPbds(xapi)).filter((pbd) => pbd.host === host).flatMap((pbd) => claimOf(pbd, srs)) };
    } finally {
      await xapi.logout();
    }
  } catch (error) {
    return { problem: `Which SR uses which mapping is not known: ${messageOf(error)}` };
  }
}

function claimOf(pbd: PbdRecord, srs: ReadonlyMap<string, SrRecord>): MappingClaim[] {
  const sr = srs.get(pbd.sr);
  const { pool, image, namespace } = pbd.deviceConfig;
  if (sr === undefined || pool === undefined || image === undefined) return [];
  const spec = { pool, image, ...(namespace === undefined || namespace === '' ? {} : { namespace }) };
  const { fsid } = sr.smConfig;
  return [{ srUuid: sr.uuid, spec, attached: pbd.currentlyAttached, ...(fsid === undefined ? {} : { fsid }) }];
}
