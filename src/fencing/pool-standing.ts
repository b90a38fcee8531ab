import { isDriverSr, specOf } from '../access/driver-srs.ts';
import { type SrUuid, srUuid } from '../base/ids.ts';
import type { ImageSpec } from '../ceph/image/image-spec.ts';
import { activeHosts } from '../sr/hosts/host-keys.ts';
import type { Xapi } from '../xapi/client.ts';
import { type HostStanding, hostStandings } from '../xapi/host.ts';
import { allPbds } from '../xapi/pbd.ts';
import { allSrs } from '../xapi/sr.ts';
import { vdisOfSr } from '../xapi/vdi.ts';
import { type FenceNote, notesIn } from './fence-notes.ts';

/** What the pool says, at one moment, of its hosts and of the SRs that RBDSR drives. */
export interface PoolStanding {
  readonly hosts: readonly PoolHost[];
  readonly images: readonly SrImage[];
}

export interface PoolHost extends Pick<HostStanding, 'ref' | 'uuid' | 'addresses' | 'isLive' | 'heardAt'> {
  readonly name: string;
  readonly isThis: boolean;
  /** Disks that bear its mark. */
  readonly disks: readonly DiskInUse[];
}

export interface DiskInUse {
  readonly uuid: string;
  readonly name: string;
  /** "RW" or "RO". */
  readonly mode: string;
}

/** An SR of the pool that says which image it stands on. */
export interface SrImage {
  readonly uuid: SrUuid;
  readonly ref: string;
  readonly name: string;
  readonly spec: ImageSpec;
  /** References of the hosts where its PBD is plugged, as xapi knows. */
  readonly pluggedOn: readonly string[];
  /** What we wrote down of fences, by client. */
  readonly notes: ReadonlyMap<string, FenceNote>;
}

/** Asks xapi, and tells it nothing. */
export async function poolStanding(xapi: Xapi, thisHostRef: string): Promise<PoolStanding> {
  const pbds = await allPbds(xapi);
  const images: SrImage[] = [];
  const disks = new Map<string, DiskInUse[]>();
  for (const sr of await allSrs(xapi)) {
    const own = pbds.filter((pbd) => pbd.sr === sr.ref);
    const spec = own.map((pbd) => specOf(sr, pbd)).find((found) => found !== undefined);
    if (spec === undefined || !own.some((pbd) => isDriverSr(sr, pbd))) continue;
    const pluggedOn = own.filter(({ currentlyAttached }) => currentlyAttached).map(({ host }) => host);
    images.push({
      uuid: srUuid(sr.uuid),
      ref: sr.ref,
      name: sr.nameLabel,
      spec,
      pluggedOn,
      notes: notesIn(sr.smConfig),
    });
    for (const { uuid, nameLabel: name, smConfig } of await vdisOfSr(xapi, sr.ref)) {
      for (const host of activeHosts(smConfig)) {
        disks.set(host, [...(disks.get(host) ?? []), { uuid, name, mode: smConfig[`host_${host}`] ?? '' }]);
      }
    }
  }
  const hosts = (await hostStandings(xapi)).map(({ ref, uuid, nameLabel, addresses, isLive, heardAt }) => ({
    ref,
    uuid,
    name: nameLabel,
    addresses,
    isLive,
    heardAt,
    isThis: ref === thisHostRef,
    disks: disks.get(ref) ?? [],
  }));
  return { hosts, images };
}
