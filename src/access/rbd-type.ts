import type { ClusterAccess } from '../ceph/cluster/access.ts';
import { refuseUnusableKey } from '../ceph/krbd/kernel-keys.ts';
import { resolveAccess } from './cluster-access.ts';
import { type DeviceConfig, parseDeviceConfig } from '../sr/config/device-config.ts';
import type { SrWork } from '../sr/work/work.ts';
import { forgetKey, keepKey, keptKey } from './kept-key.ts';
import { krbdOf } from '../sr/image/krbd-of-host.ts';
import type { SrConfig, SrType } from '../sr/config/sr-type.ts';

/** device_config keys that say what the key of the cluster is; none of them may lie in a readable file. */
const KEY_SOURCES: readonly string[] = ['password', 'password_secret', 'keyring'];

/** SR type `rbd`: device_config has monitors, pool, image, user and key under these names (`driver-config-keys.ts`). */
export const rbdType: SrType = {
  name: 'rbd',
  config(deviceConfig): SrConfig {
    const config = parseDeviceConfig(deviceConfig);
    let asked: Promise<ClusterAccess> | undefined;
    const access: SrConfig['access'] = (work) => {
      asked ??= usableAccess(work, config);
      return asked;
    };
    return {
      ...config,
      access,
      controlPlane: async (work) => {
        const { controlPlaneOf } = await import('../ceph/control/tools/ceph-tools.ts');
        return controlPlaneOf(await access(work));
      },
      mapped: async (work) => {
        if (config.key.kind === 'secret') await keepKey(work, (await access(work)).key);
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
async function usableAccess(work: SrWork, config: DeviceConfig): Promise<ClusterAccess> {
  const access = await accessOf(work, config);
  await refuseUnusableKey(access, krbdOf(work).keys, work.deadline);
  return access;
}

/** What device_config says; where the secret it names is gone, with the key that the SR keeps. */
function accessOf(work: SrWork, config: DeviceConfig): Promise<ClusterAccess> {
  return resolveAccess(
    config,
    () => work.xapi(),
    async () => {
      const key = await keptKey(work);
      if (key !== undefined) work.log.info(`the secret of device-config is gone; the SR's own copy of the key serves`);
      return key;
    },
  );
}
