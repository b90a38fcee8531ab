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

/**
 * Host.declare_dead: what was plugged there is not any more, and stock's hook clears the host's marks on the disks of
 * each of its SRs (xen-api `xapi_hooks.ml`, sm `resetvdis.py`). First the hook takes the locks of the SR on the master:
 * `passes` says whether it gets them. It waits for them without limit, and HA for it: where it does not get them,
 * nothing is cleared.
 */
export async function hostDeclaredDead(
  double: XapiDouble,
  hostRef: string,
  passes: (srUuid: string) => Promise<boolean>,
): Promise<void> {
  const { db } = double;
  const pbds = db.all('PBD').filter(({ fields }) => fields['host'] === hostRef);
  for (const pbd of pbds) pbd.fields['currently_attached'] = false;
  for (const srRef of pbds.map((pbd) => stringOf(pbd, 'SR'))) {
    if (!(await passes(stringOf(db.get('SR', srRef), 'uuid'))))
      throw new Error('the hook of a dead host waits for a lock');
    for (const vdi of db.where('VDI', 'SR', srRef)) {
      const { [MARK + hostRef]: _mark, ...rest } = mapOf(vdi, 'sm_config');
      vdi.fields['sm_config'] = rest;
    }
  }
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
