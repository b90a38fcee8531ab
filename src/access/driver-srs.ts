import { Deadline } from '../base/deadline.ts';
import type { ImageSpec } from '../ceph/image/image-spec.ts';
import type { MappingClaim } from '../ceph/krbd/stale-mappings.ts';
import { isDiverted } from '../sr/config/diverted.ts';
import { detectProfile, hostPaths } from '../dom0/host-profile.ts';
import { readHostSettings } from '../dom0/host-settings.ts';
import { readInventory } from '../dom0/inventory.ts';
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
    if (pbd.host !== hostRef || sr === undefined || !isDriven(sr, pbd)) return [];
    const spec = specOf(sr, pbd);
    return [{ sr, pbd, ...(spec === undefined ? {} : { spec }) }];
  });
}

/** What it claims of this host's mappings; nothing where it is not known which image it stands on. */
export function claimOf({ sr, pbd, spec }: DriverSr): MappingClaim[] {
  if (spec === undefined) return [];
  const fsid = sr.smConfig['rbd_fsid'];
  return [{ srUuid: sr.uuid, spec, attached: pbd.currentlyAttached, ...(fsid === undefined ? {} : { fsid }) }];
}

/** Logs into the local xapi, and finds this host in it. 'xapi-unreachable' where it does not run. */
export async function withLocalXapi<T>(
  root: string,
  work: (xapi: Xapi, hostRef: string) => Promise<T>,
  ms = XAPI_MS,
): Promise<T> {
  const paths = hostPaths(root, '');
  const inventory = readInventory(paths.inventory);
  const { xapiSocket } = detectProfile(readHostSettings(paths.settings), inventory, root).paths;
  const xapi = await loginXapi({ socketPath: xapiSocket, deadline: Deadline.after(ms) });
  try {
    return await work(xapi, await hostByUuid(xapi, inventory.hostUuid));
  } finally {
    await xapi.logout();
  }
}

/** Type rbd, or LVM over iSCSI with our port. */
export function isDriven(sr: SrRecord, pbd: PbdRecord): boolean {
  return sr.type === 'rbd' || (sr.type === 'lvmoiscsi' && isDiverted(pbd.deviceConfig));
}

/** A diverted SR has the pool as its IQN and the image as its SCSI id. */
export function specOf(sr: SrRecord, { deviceConfig }: PbdRecord): ImageSpec | undefined {
  const [pool, image] =
    sr.type === 'rbd'
      ? [deviceConfig['pool'], deviceConfig['image']]
      : [deviceConfig['targetIQN'], deviceConfig['SCSIid']];
  const { namespace } = deviceConfig;
  if (pool === undefined || image === undefined) return undefined;
  return { pool, image, ...(namespace === undefined || namespace === '' ? {} : { namespace }) };
}
