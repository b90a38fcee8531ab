import { type ClusterAccess, clusterAccess } from '../ceph/cluster/access.ts';
import { hasCode } from '../base/error.ts';
import type { Secret } from '../base/secret.ts';
import type { Xapi } from '../xapi/client.ts';
import { secretByUuid } from '../xapi/secret.ts';
import type { ControlPlane } from '../ceph/control/control-plane.ts';
import { refuseUnusableKey } from '../ceph/krbd/kernel-keys.ts';
import { aboutKey } from '../sr/config/about-key.ts';
import { type DeviceConfig, parseDeviceConfig } from '../sr/config/device-config.ts';
import type { SrWork } from '../sr/work/work.ts';
import { forgetKey, keepKey, keptKey } from './kept-key.ts';
import { planeForCall } from './plane-for-call.ts';
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
    let plane: Promise<ControlPlane> | undefined;
    const access: SrConfig['access'] = (work) => {
      asked ??= usableAccess(work, config);
      return asked;
    };
    return {
      ...config,
      access,
      controlPlane: (work) => {
        plane ??= access(work).then((found) => planeForCall(work, found));
        return plane;
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

/**
 * Fetches the key from where device-config says it is; xapi is asked only for a secret of its, and `kept` where that is
 * gone. 'invalid-secret' | 'config-invalid'.
 */
export async function resolveAccess(
  config: DeviceConfig,
  xapi: () => Promise<Xapi>,
  kept: () => Promise<Secret | undefined> = async () => undefined,
): Promise<ClusterAccess> {
  const { monitorsText: monitors, user, key } = config;
  if (key.kind === 'keyring') return clusterAccess({ monitors, user, keyring: key.path });
  if (key.kind === 'key') return aboutKey('password', () => clusterAccess({ monitors, user, key: key.key }));
  const secret = await secretOf(key.uuid, xapi, kept);
  return aboutKey('password_secret', () => clusterAccess({ monitors, user, key: secret }));
}

async function secretOf(
  uuid: string,
  xapi: () => Promise<Xapi>,
  kept: () => Promise<Secret | undefined>,
): Promise<Secret> {
  try {
    return await secretByUuid(await xapi(), uuid, 'password_secret');
  } catch (error) {
    const instead = hasCode(error, 'invalid-secret') ? await kept() : undefined;
    if (instead === undefined) throw error;
    return instead;
  }
}
