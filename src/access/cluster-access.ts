import { hasCode, RbdsrError } from '../base/error.ts';
import type { Secret } from '../base/secret.ts';
import { type ClusterAccess, clusterAccess } from '../ceph/cluster/access.ts';
import type { Xapi } from '../xapi/client.ts';
import { secretByUuid } from '../xapi/secret.ts';
import type { DeviceConfig } from '../sr/config/device-config.ts';

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
  if (key.kind === 'key') return named('password', () => clusterAccess({ monitors, user, key: key.key }));
  const secret = await secretOf(key.uuid, xapi, kept);
  return named('password_secret', () => clusterAccess({ monitors, user, key: secret }));
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

/** What is there and is no key was put there by somebody, who has to know where. */
function named(key: string, make: () => ClusterAccess): ClusterAccess {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof RbdsrError) || error.code !== 'invalid-secret') throw error;
    throw new RbdsrError(error.code, { ...error.detail, what: `device-config ${key}: ${error.detail.what}` });
  }
}
