import { type ClusterAccess, clusterAccess } from '../../ceph/cluster/access.ts';
import { formatMonitors } from '../../ceph/cluster/monitors.ts';
import type { StringMap } from '../../xapi/values.ts';

/**
 * What stands in a device_config that HA keeps for the boot, beside the wizard's own keys; that of SR type rbd is made
 * in access/rbd-type.ts.
 */
const KEYS = { monitors: 'rbd_monitors', user: 'rbd_user', keyring: 'rbd_keyring' } as const;

/** A login of the wizard's, which a readable file must not hold and which nobody needs at boot. */
const LOGIN = /^(incoming_)?chap(user|password|password_secret)$/;

/** device_config for vdi_attach_from_config, with xapi and SSH down: all monitors, and a keyring file of this host. */
export function frozenConfig(deviceConfig: StringMap, keyring: string, access: ClusterAccess): StringMap {
  return {
    ...Object.fromEntries(Object.entries(deviceConfig).filter(([key]) => !LOGIN.test(key))),
    [KEYS.monitors]: formatMonitors(access.monitors),
    [KEYS.user]: access.user,
    [KEYS.keyring]: keyring,
  };
}

/** Undefined for a device_config that is not frozen. */
export function frozenAccess(deviceConfig: StringMap): ClusterAccess | undefined {
  const { [KEYS.monitors]: monitors, [KEYS.user]: user, [KEYS.keyring]: keyring } = deviceConfig;
  if (monitors === undefined || user === undefined || keyring === undefined) return undefined;
  return clusterAccess({ monitors, user, keyring });
}
