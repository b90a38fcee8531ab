import { Deadline } from '../base/deadline.ts';
import type { ImageSpec } from '../ceph/image/image-spec.ts';
import type { MappingClaim } from '../ceph/krbd/stale-mappings.ts';
import { fsidOf } from '../sr/config/fsid-key.ts';
import { isDiverted } from '../sr/config/diverted.ts';
import { choiceOfRbd, choiceOfWizard, chosenImage } from '../sr/config/image-choice.ts';
import { thisHost } from '../dom0/this-host.ts';
import { loginXapi, type Xapi } from '../xapi/client.ts';
import { hostByUuid } from '../xapi/host.ts';
import { allPbds, type PbdRecord } from '../xapi/pbd.ts';
import { allSrs, type SrRecord } from '../xapi/sr.ts';

const XAPI_MS = 30_000;

/** An SR of this pool that RBDSR drives, and how this host reaches it. */
export interface DriverSr {
  readonly sr: SrRecord;
  readonly pbd: PbdRecord;
  /** Undefined where the device_config does not say which image. */
  readonly spec?: ImageSpec;
}

/** Type rbd, or LVM over iSCSI with our port; with a PBD on the host. */
export async function driverSrs(xapi: Xapi, hostRef: string): Promise<readonly DriverSr[]> {
  const srs = new Map((await allSrs(xapi)).map((sr) => [sr.ref, sr]));
  return (await allPbds(xapi)).flatMap((pbd) => {
    const sr = srs.get(pbd.sr);
    if (pbd.host !== hostRef || sr === undefined || !isDriverSr(sr, pbd)) return [];
    const spec = specOf(sr, pbd);
    return [{ sr, pbd, ...(spec === undefined ? {} : { spec }) }];
  });
}

/** What it claims of this host's mappings; nothing where it is not known which image it stands on. */
export function claimOf({ sr, pbd, spec }: DriverSr): MappingClaim[] {
  if (spec === undefined) return [];
  const fsid = fsidOf(sr.smConfig);
  return [{ srUuid: sr.uuid, spec, attached: pbd.currentlyAttached, ...(fsid === undefined ? {} : { fsid }) }];
}

/** Logs into the local xapi, and finds this host in it. 'xapi-unreachable' where it does not run. */
export async function withLocalXapi<T>(
  root: string,
  work: (xapi: Xapi, hostRef: string) => Promise<T>,
  ms = XAPI_MS,
): Promise<T> {
  // Where xapi is depends on no other setting; who has to know of an odd one asks thisHost himself.
  const { inventory, profile } = thisHost(root, () => undefined);
  const xapi = await loginXapi({ socketPath: profile.paths.xapiSocket, deadline: Deadline.after(ms) });
  try {
    return await work(xapi, await hostByUuid(xapi, inventory.hostUuid));
  } finally {
    await xapi.logout();
  }
}

/** Type rbd, or LVM over iSCSI with our port. */
export function isDriverSr(sr: SrRecord, pbd: PbdRecord): boolean {
  return sr.type === 'rbd' || (sr.type === 'lvmoiscsi' && isDiverted(pbd.deviceConfig));
}

/** The image that a PBD of an SR of ours names. */
export function specOf(sr: SrRecord, { deviceConfig }: PbdRecord): ImageSpec | undefined {
  return chosenImage(sr.type === 'rbd' ? choiceOfRbd(deviceConfig) : choiceOfWizard(deviceConfig));
}
