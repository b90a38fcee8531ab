import { hasCode } from '../base/error.ts';
import { lastStep, type Step, step } from '../base/steps.ts';
import { undo } from '../base/undo.ts';
import { type ClusterAccess, clusterAccess } from '../ceph/cluster/access.ts';
import { formatMonitors } from '../ceph/cluster/monitors.ts';
import { runSteps } from '../system/running-steps.ts';
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
  const map = await srSmConfig(xapi, srRef);
  const orphan = readKept(map) === undefined ? map[KEPT.secret] : undefined;
  const named = orphan === undefined ? {} : { orphan };
  const keeping: Keeping = { xapi, srRef, sr: srOf(work), access, facts, ...named };
  try {
    await runSteps(keepAccessSteps, keeping);
  } catch (error) {
    const { secret } = keeping;
    if (secret === undefined || keeping.isFirst === true) throw error;
    return undo(error, { [`secret ${secret}`]: async () => destroySecret(await undoWork(work).xapi(), secret) });
  }
  return keeping.isFirst === true ? access : ((await keptAccess(work))?.access ?? access);
}

interface Keeping {
  readonly xapi: Xapi;
  readonly srRef: string;
  readonly sr: string;
  readonly access: ClusterAccess;
  readonly facts: KeptFacts;
  /** A secret beside which keys are missing: what two hosts left that did this at once, one of which died. */
  readonly orphan?: string;
  /** Made by the first step. */
  secret?: string;
  /** Another host has kept something meanwhile. */
  isLate?: boolean;
  isFirst?: boolean;
}

export const keepAccessSteps: readonly Step<Keeping>[] = [
  step('kept-access.after-secret', makeSecret, {
    does: 'a xapi secret with the key of the cephx user',
    leaves: { id: 'unnamed-secret', says: 'a secret nobody names' },
    mendedBy: { by: ['sr_attach'], says: 'the next plug makes another; `rbdsr doctor` names it' },
  }),
  step('kept-access.after-orphan', nameNoOrphan, {
    does: 'a secret that stands there although other keys are missing is named no more',
    leaves: { id: 'orphan-unnamed', says: 'the same, and that secret without a name' },
    mendedBy: { by: ['sr_attach'], says: 'the next plug; `rbdsr doctor` names both secrets' },
    when: ({ orphan }) => orphan !== undefined,
  }),
  step('kept-access.after-facts', keepFacts, {
    does: '`rbd_monitors`, `rbd_user`, `rbd_own_user` and, where SSH was used, `rbd_host_key`',
    leaves: { id: 'facts-without-key', says: 'the same, and keys that do not count without a secret' },
    mendedBy: { by: ['sr_attach'], says: 'the next plug sets them again' },
  }),
  lastStep(nameSecret, '`rbd_password_secret` names ours: the SR keeps all of it; where another was faster, ours goes'),
];

async function makeSecret(keeping: Keeping): Promise<void> {
  keeping.secret = await createSecret(keeping.xapi, keeping.access.key, keeping.sr);
}

/** Before the other keys are there: with them it would count, and it may be another user's key. */
async function nameNoOrphan({ xapi, srRef, orphan }: Keeping): Promise<void> {
  if ((await srSmConfig(xapi, srRef))[KEPT.secret] !== orphan) return;
  await removeMapKey(xapi, 'SR.sm_config', srRef, KEPT.secret);
}

async function keepFacts(keeping: Keeping): Promise<void> {
  const { xapi, srRef, access, facts } = keeping;
  const map = await srSmConfig(xapi, srRef);
  keeping.isLate = readKept(map) !== undefined;
  if (keeping.isLate) return;
  const values = {
    [KEPT.monitors]: formatMonitors(access.monitors),
    [KEPT.user]: access.user,
    [KEPT.ownUser]: String(facts.ownUser),
    ...(facts.hostKey === undefined ? {} : { [KEPT.hostKey]: facts.hostKey }),
  };
  for (const [key, value] of Object.entries(values)) await setMapKey(xapi, 'SR.sm_config', srRef, key, value);
}

async function nameSecret(keeping: Keeping): Promise<void> {
  const { xapi, srRef, secret = '', isLate, orphan } = keeping;
  keeping.isFirst = isLate !== true && (await addMapKey(xapi, 'SR.sm_config', srRef, KEPT.secret, secret));
  if (!keeping.isFirst) await destroySecret(xapi, secret);
  if (orphan === undefined || (await srSmConfig(xapi, srRef))[KEPT.secret] === orphan) return;
  await destroySecret(xapi, orphan);
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
