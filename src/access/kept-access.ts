import { hasCode } from '../base/error.ts';
import { undo } from '../base/undo.ts';
import { type ClusterAccess, clusterAccess } from '../ceph/cluster/access.ts';
import { formatMonitors } from '../ceph/cluster/monitors.ts';
import { undoWork } from '../sr/work/work-until.ts';
import type { SrWork } from '../sr/work/work.ts';
import type { Xapi } from '../xapi/client.ts';
import { addMapKey, removeMapKey, setMapKey } from '../xapi/map-keys.ts';
import { createSecret, destroySecret, secretByUuid } from '../xapi/secret.ts';
import { srSmConfig } from '../xapi/sr.ts';
import { FORMER_USER, hostKeyIn, KEPT, type KeptKeys, NEXT_USER, readKept } from './kept-keys.ts';
import { srOf } from '../sr/work/subject.ts';

export interface KeptFacts {
  readonly ownUser: boolean;
  readonly hostKey?: string;
}

export interface Kept extends KeptFacts {
  readonly user: string;
  readonly access: ClusterAccess;
  /** Users of our own that the SR used before. */
  readonly formerUsers: readonly string[];
}

/**
 * Undefined where the request names no SR, or the SR keeps nothing yet: an older release made it, or it was introduced.
 */
export async function keptAccess(work: SrWork): Promise<Kept | undefined> {
  const { srRef } = work.subject;
  return srRef === undefined ? undefined : keptBySr(await work.xapi(), srRef);
}

/** `hostKeyIn` of the request's SR: a line of known_hosts. */
export async function keptHostKey(work: SrWork): Promise<string | undefined> {
  const { srRef } = work.subject;
  if (srRef === undefined) return undefined;
  return hostKeyIn(await srSmConfig(await work.xapi(), srRef));
}

/** 'invalid-secret' where the secret is gone. */
export async function keptBySr(xapi: Xapi, srRef: string): Promise<Kept | undefined> {
  const keys = readKept(await srSmConfig(xapi, srRef));
  if (keys === undefined) return undefined;
  try {
    return await withKey(xapi, keys);
  } catch (error) {
    // Another host may be changing the key, and destroys the secret that it replaces.
    const again = hasCode(error, 'invalid-secret') ? readKept(await srSmConfig(xapi, srRef)) : undefined;
    if (again === undefined || again.secret === keys.secret) throw error;
    return withKey(xapi, again);
  }
}

async function withKey(xapi: Xapi, { monitors, secret, ...keys }: KeptKeys): Promise<Kept> {
  const key = await secretByUuid(xapi, secret, `SR.sm_config:${KEPT.secret}`);
  return { ...keys, access: clusterAccess({ monitors, user: keys.user, key }) };
}

/**
 * Keeps it, the secret last: who adds that key has done it for the SR. Every host of a pool plugs at once, so another
 * may have been faster; then our secret goes, and what the other kept is the answer.
 */
export async function keepAccess(work: SrWork, access: ClusterAccess, facts: KeptFacts): Promise<ClusterAccess> {
  const { srRef } = work.subject;
  if (srRef === undefined) return access;
  const xapi = await work.xapi();
  const secret = await createSecret(xapi, access.key, srOf(work));
  const claimed = await claim(xapi, srRef, secret, access, facts).catch(async (error: unknown) => {
    return undo(error, { [`secret ${secret}`]: async () => destroySecret(await undoWork(work).xapi(), secret) });
  });
  if (claimed) return access;
  await destroySecret(xapi, secret);
  return (await keptAccess(work))?.access ?? access;
}

async function claim(
  xapi: Xapi,
  srRef: string,
  secret: string,
  access: ClusterAccess,
  facts: KeptFacts,
): Promise<boolean> {
  const map = await srSmConfig(xapi, srRef);
  if (readKept(map) !== undefined) return false;
  const values = {
    [KEPT.monitors]: formatMonitors(access.monitors),
    [KEPT.user]: access.user,
    [KEPT.ownUser]: String(facts.ownUser),
    ...(facts.hostKey === undefined ? {} : { [KEPT.hostKey]: facts.hostKey }),
  };
  for (const [key, value] of Object.entries(values)) await setMapKey(xapi, 'SR.sm_config', srRef, key, value);
  // A secret beside which keys are missing is what two hosts left that did this at once, one of which died.
  const orphan = map[KEPT.secret];
  if (orphan !== undefined && (await srSmConfig(xapi, srRef))[KEPT.secret] === orphan) {
    await removeMapKey(xapi, 'SR.sm_config', srRef, KEPT.secret);
    await destroySecret(xapi, orphan);
  }
  return addMapKey(xapi, 'SR.sm_config', srRef, KEPT.secret, secret);
}

/** After an sr_create that failed: nothing is kept any more, and the secret is gone. */
export async function forgetAccess(work: SrWork): Promise<void> {
  const { srRef } = work.subject;
  if (srRef === undefined) return;
  const xapi = await work.xapi();
  const map = await srSmConfig(xapi, srRef);
  const isNamed = (key: string): boolean => key.startsWith(FORMER_USER) || key.startsWith(NEXT_USER);
  const ours = [...Object.values(KEPT), ...Object.keys(map).filter(isNamed)];
  for (const key of ours) await removeMapKey(xapi, 'SR.sm_config', srRef, key);
  for (const secret of [map[KEPT.secret], map[KEPT.nextSecret]]) {
    if (secret !== undefined) await destroySecret(xapi, secret);
  }
}
