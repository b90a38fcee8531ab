import { type ClusterAccess, clusterAccess } from '../ceph/access.ts';
import { formatMonitors } from '../ceph/monitors.ts';
import { srOf } from '../sm/attached-sr.ts';
import type { SmCall } from '../sm/handler.ts';
import type { Xapi } from '../xapi/client.ts';
import { addMapKey, removeMapKey, setMapKey } from '../xapi/map-keys.ts';
import { createSecret, destroySecret, secretByUuid } from '../xapi/secret.ts';
import { srSmConfig } from '../xapi/sr.ts';

/**
 * What a diverted SR keeps in SR.sm_config so that a plug needs neither SSH, nor the password that was typed, nor the monitor that was typed.
 * device_config will not do: xapi overwrites every PBD's after sr_create, and the secrets it names die with the first PBD.
 */
const KEYS = {
  /** Every monitor of the cluster, as the kernel takes them. */
  monitors: 'rbd_monitors',
  user: 'rbd_user',
  /** The uuid of a xapi secret; xapi destroys it with the SR, as it does for every key of this ending. */
  secret: 'rbd_password_secret',
  /** "true" where RBDSR made the user, so that sr_delete removes it. */
  ownUser: 'rbd_own_user',
  /** The SSH host key that sr_create saw: a line of known_hosts. */
  hostKey: 'rbd_host_key',
} as const;

export interface KeptFacts {
  readonly ownUser: boolean;
  readonly hostKey?: string;
}

export interface Kept extends KeptFacts {
  readonly user: string;
  readonly access: ClusterAccess;
}

/** Undefined where the request names no SR, or the SR keeps nothing yet: an older release made it, or it was introduced. */
export async function keptAccess(call: SmCall): Promise<Kept | undefined> {
  const { srRef } = call.request;
  if (srRef === undefined) return undefined;
  const xapi = await call.xapi();
  const map = await srSmConfig(xapi, srRef);
  const { [KEYS.monitors]: monitors, [KEYS.user]: user, [KEYS.secret]: secret, [KEYS.hostKey]: hostKey } = map;
  if (monitors === undefined || user === undefined || secret === undefined) return undefined;
  const access = clusterAccess({
    monitors,
    user,
    key: await secretByUuid(xapi, secret, `SR.sm_config:${KEYS.secret}`),
  });
  return { user, access, ownUser: map[KEYS.ownUser] === 'true', ...(hostKey === undefined ? {} : { hostKey }) };
}

/**
 * Keeps it, the secret last: who adds that key has done it for the SR. Every host of a pool plugs at once, so another may have been faster; then
 * our secret goes, and what the other kept is the answer.
 */
export async function keepAccess(call: SmCall, access: ClusterAccess, facts: KeptFacts): Promise<ClusterAccess> {
  const { srRef } = call.request;
  if (srRef === undefined) return access;
  const xapi = await call.xapi();
  const secret = await createSecret(xapi, access.key, srOf(call));
  const claimed = await claim(xapi, srRef, secret, access, facts).catch(async (error: unknown) => {
    await destroySecret(xapi, secret).catch(() => {});
    throw error;
  });
  if (claimed) return access;
  await destroySecret(xapi, secret);
  return (await keptAccess(call))?.access ?? access;
}

async function claim(
  xapi: Xapi,
  srRef: string,
  secret: string,
  access: ClusterAccess,
  facts: KeptFacts,
): Promise<boolean> {
  if ((await srSmConfig(xapi, srRef))[KEYS.secret] !== undefined) return false;
  const values = {
    [KEYS.monitors]: formatMonitors(access.monitors),
    [KEYS.user]: access.user,
    [KEYS.ownUser]: String(facts.ownUser),
    ...(facts.hostKey === undefined ? {} : { [KEYS.hostKey]: facts.hostKey }),
  };
  for (const [key, value] of Object.entries(values)) await setMapKey(xapi, 'SR.sm_config', srRef, key, value);
  return addMapKey(xapi, 'SR.sm_config', srRef, KEYS.secret, secret);
}

/** After an sr_create that failed: nothing is kept any more, and the secret is gone. */
export async function forgetAccess(call: SmCall): Promise<void> {
  const { srRef } = call.request;
  if (srRef === undefined) return;
  const xapi = await call.xapi();
  const secret = (await srSmConfig(xapi, srRef))[KEYS.secret];
  for (const key of Object.values(KEYS)) await removeMapKey(xapi, 'SR.sm_config', srRef, key);
  if (secret !== undefined) await destroySecret(xapi, secret);
}
