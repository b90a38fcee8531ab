import { mapOf, stringOf } from './database.ts';
import type { XapiDouble } from './double.ts';
import { vbdOn } from './vdi-operations.ts';
import { XapiError } from './xapi-error.ts';

const MARK = 'host_';

/**
 * What xapi does to its records when it starts on a host, here by what is in use by them (xen-api `storage_access.ml`,
 * refresh_local_vdi_activations): marks of this host on disks that are not in use there go, so do those of hosts that
 * the pool has not; disks in use there are marked. `drivers` are the files that this host has: from 25.20 a driver
 * without one is taken from the whole pool (`xapi_sm.ml`).
 */
export function toolstackStarts(double: XapiDouble, hostRef: string, drivers?: ReadonlySet<string>): void {
  const { db, profile } = double;
  for (const vdi of db.all('VDI')) {
    const before = mapOf(vdi, 'sm_config');
    const vbd = vbdOn(double, vdi.ref, hostRef);
    const inUse = vbd?.fields['currently_attached'] === true;
    const stays = (key: string): boolean =>
      !key.startsWith(MARK) || (key === MARK + hostRef ? inUse : db.find('host', key.slice(MARK.length)) !== undefined);
    const rest = Object.entries(before).filter(([key]) => stays(key));
    const mode = vbd === undefined ? '' : stringOf(vbd, 'mode');
    vdi.fields['sm_config'] = { ...(inUse ? { [MARK + hostRef]: mode } : {}), ...Object.fromEntries(rest) };
  }
  if (drivers === undefined || !profile.forgetsMissingDrivers) return;
  for (const sm of db.all('SM')) if (!drivers.has(stringOf(sm, 'driver_filename'))) db.destroy('SM', sm.ref);
}

/** pool.join from 24.37: the host has every driver of the pool, with all that it can do (`xapi_pool.ml`). */
export function poolJoin(double: XapiDouble, features: ReadonlyMap<string, readonly string[]>): void {
  if (!double.profile.comparesFeatures) return;
  for (const sm of double.db.all('SM')) {
    const [type, wanted] = [stringOf(sm, 'type'), sm.fields['capabilities']];
    const lacking = (Array.isArray(wanted) ? wanted : []).filter((name) => features.get(type)?.includes(name) !== true);
    if (features.has(type) && lacking.length === 0) continue;
    throw new XapiError('POOL_JOINING_SM_FEATURES_INCOMPATIBLE', sm.ref, type);
  }
}
