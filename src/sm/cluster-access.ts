import { type ClusterAccess, clusterAccess } from '../ceph/access.ts';
import type { Xapi } from '../xapi/client.ts';
import { secretByUuid } from '../xapi/secret.ts';
import type { DeviceConfig } from './device-config.ts';

/** Fetches the key from where device-config says it is; xapi is asked only for a secret of its. 'invalid-secret' | 'config-invalid'. */
export async function resolveAccess(config: DeviceConfig, xapi: () => Promise<Xapi>): Promise<ClusterAccess> {
  const { monitorsText: monitors, user, key } = config;
  if (key.kind === 'keyring') return clusterAccess({ monitors, user, keyring: key.path });
  if (key.kind === 'key') return clusterAccess({ monitors, user, key: key.key });
  return clusterAccess({ monitors, user, key: await secretByUuid(await xapi(), key.uuid, 'password_secret') });
}
