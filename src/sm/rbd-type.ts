import { resolveAccess } from './cluster-access.ts';
import { parseDeviceConfig } from './device-config.ts';
import type { SrConfig, SrType } from './sr-type.ts';

/** device_config keys that say what the key of the cluster is; none of them may lie in a readable file. */
const KEY_SOURCES: readonly string[] = ['password', 'password_secret', 'keyring'];

/** SR type `rbd`: device_config has monitors, pool, image, user and key under these names (`driver-config-keys.ts`). */
export const rbdType: SrType = {
  name: 'rbd',
  handlers: {},
  config(deviceConfig): SrConfig {
    const config = parseDeviceConfig(deviceConfig);
    const access: SrConfig['access'] = (call) => resolveAccess(config, () => call.xapi());
    return {
      ...config,
      access,
      controlPlane: async (call) => {
        const { controlPlaneOf } = await import('../ceph/ceph-tools.ts');
        return controlPlaneOf(await access(call));
      },
      frozen: (keyring) => ({
        ...Object.fromEntries(Object.entries(deviceConfig).filter(([key]) => !KEY_SOURCES.includes(key))),
        keyring,
      }),
    };
  },
};
