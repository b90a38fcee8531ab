import { messageOf } from '../../base/error.ts';
import type { MappingClaim } from '../../ceph/krbd/stale-mappings.ts';
import { claimOf, driverSrs, withLocalXapi } from '../../access/driver-srs.ts';

/** The SRs that RBDSR drives, of type rbd or diverted, with a PBD on this host. */
export interface Claims {
  /** Undefined where xapi cannot tell; `problem` says why. */
  readonly claims?: readonly MappingClaim[];
  readonly problem?: string;
}

/** Asks the local xapi. Never throws: a host whose xapi is down is when an administrator looks. */
export async function claimsOf(root: string): Promise<Claims> {
  try {
    return await withLocalXapi(root, async (xapi, host) => ({
      claims: (await driverSrs(xapi, host)).flatMap(claimOf),
    }));
  } catch (error) {
    return { problem: `Which SR uses which mapping is not known: ${messageOf(error)}` };
  }
}
