import type { ClusterAccess } from '../ceph/cluster/access.ts';
import { refuseUnusableKey } from '../ceph/krbd/kernel-keys.ts';
import { resolveAccess } from './cluster-access.ts';
import { type DeviceConfig, parseDeviceConfig } from './device-config.ts';
import type { SmCall } from './handler.ts';
import { forgetKey, keepKey, keptKey } from './kept-key.ts';
import { krbdOf } from './krbd-of-host.ts';
import type { SrConfig, SrType } from './sr-type.ts';

/** device_config keys that say what the key of the cluster is; none of them may lie in a readable file. */
const KEY_SOURCES: readonly string[] = ['password', 'password_secret', 'keyring'];

/** SR type `rbd`: device_config has monitors, pool, image, user and key under these names (`driver-config-keys.ts`). */
export const rbdType: SrType = {
  name: 'rbd',
  handlers: {},
  config(deviceConfig): SrConfig {
    const config = parseDeviceConfig(deviceConfig);
    let asked: Promise<ClusterAccess> | undefined;
    const access: SrConfig['access'] = (call) => {
      asked ??= usableAccess(call, config);
      return asked;
    };
    return {
      ...config,
      access,
      controlPlane: async (call) => {
        const { controlPlaneOf } = await import('../ceph/control/tools/ceph-tools.ts');
        return controlPlaneOf(await access(call));
      },
      mapped: async (call) => {
        if (config.key.kind === 'secret') await keepKey(call, (await access(call)).key);
      },
      abandon: forgetKey,
      frozen: (keyring) => ({
        ...Object.fromEntries(Object.entries(deviceConfig).filter(([key]) => !KEY_SOURCES.includes(key))),
        keyring,
      }),
    };
  },
};

/** Refused before an image is made, mapped or remembered with it. */
async function usableAccess(call: SmCall, config: DeviceConfig): Promise<ClusterAccess> {
  const access = await accessOf(call, config);
  await refuseUnusableKey(access, krbdOf(call).keys, call.deadline);
  return access;
}

/** What device_config says; where the secret it names is gone, with the key that the SR keeps. */
function accessOf(call: SmCall, config: DeviceConfig): Promise<ClusterAccess> {
  return resolveAccess(
    config,
    () => call.xapi(),
    async () => {
      const key = await keptKey(call);
      if (key !== undefined) call.log.info(`the secret of device-config is gone; the SR's own copy of the key serves`);
      return key;
    },
  );
}
