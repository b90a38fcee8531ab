import type { VdiUuid } from '../base/ids.ts';
import { activeHosts } from '../sr/hosts/host-keys.ts';
import { RELINKING } from '../sr/hosts/relinking-keys.ts';
import type { SrWork } from '../sr/work/work.ts';
import { isGone } from '../xapi/failure.ts';
import { allHosts } from '../xapi/host.ts';
import { addMapKey, removeMapKey } from '../xapi/map-keys.ts';
import { vdiByUuid, type VdiRecord, vdiSmConfig } from '../xapi/vdi.ts';
import type { StringMap } from '../xapi/values.ts';

const MAP = 'VDI.sm_config';

/** The hosts that have disks in use by xapi's records, or are about to: their names, by disk. */
export async function disksInUse(
  work: SrWork,
  records: readonly VdiRecord[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const used = records.filter(({ smConfig }) => isInUse(smConfig));
  if (used.length === 0) return new Map();
  const names = new Map((await allHosts(await work.xapi())).map(({ ref, nameLabel }) => [ref, nameLabel]));
  return new Map(
    used.map(({ uuid, smConfig }) => {
      const hosts = activeHosts(smConfig).map((ref) => names.get(ref) ?? ref);
      return [uuid, hosts.length === 0 ? ['a host that is about to use it'] : hosts];
    }),
  );
}

/**
 * A host that wants to use one of the disks waits from now on, and one that has begun to is seen: it marks the disk
 * before it looks for our key, and we look for its mark behind ours. False, and no key is left, where one is in use.
 */
export async function holdBack(work: SrWork, disks: readonly VdiUuid[]): Promise<boolean> {
  // Hosts that know no such key wait for none.
  if (!work.profile.activatingKey) return false;
  const xapi = await work.xapi();
  const refs = await refsOf(work, disks);
  for (const ref of refs) await addMapKey(xapi, MAP, ref, RELINKING, 'True');
  for (const ref of refs) {
    if (!isInUse(await vdiSmConfig(xapi, ref))) continue;
    await letGo(work, disks);
    return false;
  }
  return true;
}

export async function letGo(work: SrWork, disks: readonly VdiUuid[]): Promise<void> {
  const xapi = await work.xapi();
  for (const ref of await refsOf(work, disks)) await removeMapKey(xapi, MAP, ref, RELINKING);
}

function isInUse(smConfig: StringMap): boolean {
  return activeHosts(smConfig).length > 0 || Object.hasOwn(smConfig, 'activating');
}

/** A disk that xapi does not know nobody can use. */
async function refsOf(work: SrWork, disks: readonly VdiUuid[]): Promise<readonly string[]> {
  const xapi = await work.xapi();
  const refs: string[] = [];
  for (const uuid of disks) {
    try {
      refs.push(await vdiByUuid(xapi, uuid));
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return refs;
}
