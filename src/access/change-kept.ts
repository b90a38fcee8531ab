import { OWN_USER_PREFIX } from '../ceph/control/own-user.ts';
import { faultPoint } from '../system/fault-point.ts';
import type { Xapi } from '../xapi/client.ts';
import { addMapKey, removeMapKey, setMapKey } from '../xapi/map-keys.ts';
import { destroySecret } from '../xapi/secret.ts';
import { srSmConfig } from '../xapi/sr.ts';
import { FORMER_USER, KEPT, NEXT_USER, readKept } from './kept-keys.ts';

/**
 * The order of all these writes: docs/recovery.md, "Changing what an SR keeps". After each of them the SR can be
 * plugged.
 */

export interface SrIdentity {
  readonly ref: string;
  readonly uuid: string;
}

/**
 * From one moment to the next the SR uses this user, whose key is in this secret. The secret it used before is
 * destroyed; a user of our own that it used before is remembered as a former one. False where another change stands
 * there half done, which is finished instead: `secret` is not used then.
 */
export async function switchUser(xapi: Xapi, sr: SrIdentity, user: string, secret: string): Promise<boolean> {
  const map = await srSmConfig(xapi, sr.ref);
  const before = readKept(map);
  if (map[KEPT.nextSecret] === undefined) {
    if (before !== undefined && before.user !== user && isOwnUser(before.user, sr.uuid)) {
      await addMapKey(xapi, SM_CONFIG, sr.ref, `${FORMER_USER}${before.user}`, new Date().toISOString());
    }
    faultPoint('rekey.after-former');
    if (!isOwnUser(user, sr.uuid)) await setMapKey(xapi, SM_CONFIG, sr.ref, KEPT.ownUser, 'false');
    await addMapKey(xapi, SM_CONFIG, sr.ref, `${NEXT_USER}${secret}`, user);
    faultPoint('rekey.after-next-user');
  }
  const added = await addMapKey(xapi, SM_CONFIG, sr.ref, KEPT.nextSecret, secret);
  faultPoint('rekey.after-next-secret');
  if (!added) await removeMapKey(xapi, SM_CONFIG, sr.ref, `${NEXT_USER}${secret}`);
  await finishSwitch(xapi, sr);
  return added;
}

/**
 * Finishes what a killed `switchUser` has begun: the user that counts since, or undefined where there is nothing to
 * finish.
 */
export async function finishSwitch(xapi: Xapi, sr: SrIdentity): Promise<string | undefined> {
  const map = await srSmConfig(xapi, sr.ref);
  const { [KEPT.nextSecret]: secret, [KEPT.secret]: replaced } = map;
  const user = map[`${NEXT_USER}${secret ?? ''}`];
  if (secret === undefined || user === undefined) return undefined;
  const set = (key: string, value: string): Promise<void> => setMapKey(xapi, SM_CONFIG, sr.ref, key, value);
  await set(KEPT.ownUser, String(isOwnUser(user, sr.uuid)));
  await set(KEPT.user, user);
  faultPoint('rekey.after-user');
  await set(KEPT.secret, secret);
  faultPoint('rekey.after-secret');
  await removeMapKey(xapi, SM_CONFIG, sr.ref, KEPT.nextSecret);
  faultPoint('rekey.after-switch');
  await removeMapKey(xapi, SM_CONFIG, sr.ref, `${NEXT_USER}${secret}`);
  if (replaced !== undefined && replaced !== secret) await destroySecret(xapi, replaced);
  return user;
}

/** `monitors` as the kernel takes them. */
export async function keepMonitors(xapi: Xapi, srRef: string, monitors: string): Promise<void> {
  await replace(xapi, srRef, KEPT.monitors, KEPT.nextMonitors, monitors);
}

/** `line` of known_hosts. */
export async function keepHostKey(xapi: Xapi, srRef: string, line: string): Promise<void> {
  await replace(xapi, srRef, KEPT.hostKey, KEPT.nextHostKey, line);
}

/** After a former user was removed from the cluster. */
export async function forgetFormerUser(xapi: Xapi, srRef: string, user: string): Promise<void> {
  await removeMapKey(xapi, SM_CONFIG, srRef, `${FORMER_USER}${user}`);
}

async function replace(xapi: Xapi, srRef: string, key: string, next: string, value: string): Promise<void> {
  await setMapKey(xapi, SM_CONFIG, srRef, next, value);
  faultPoint('remonitor.after-next');
  await setMapKey(xapi, SM_CONFIG, srRef, key, value);
  faultPoint('remonitor.after-key');
  await removeMapKey(xapi, SM_CONFIG, srRef, next);
}

const SM_CONFIG = 'SR.sm_config';

/** `rbdsr-UUID`, and `rbdsr-UUID-2` and so on after a change of key. */
function isOwnUser(user: string, sr: string): boolean {
  return ownUserNumber(user, sr) !== undefined;
}

/** A name that this SR has not used. */
export function nextOwnUser(sr: string, used: readonly string[]): string {
  const last = Math.max(0, ...used.flatMap((user) => ownUserNumber(user, sr) ?? []));
  return last === 0 ? `${OWN_USER_PREFIX}${sr}` : `${OWN_USER_PREFIX}${sr}-${last + 1}`;
}

function ownUserNumber(user: string, sr: string): number | undefined {
  const plain = `${OWN_USER_PREFIX}${sr}`;
  if (user === plain) return 1;
  const [, number] = user.startsWith(plain) ? (/^-([1-9][0-9]{0,5})$/.exec(user.slice(plain.length)) ?? []) : [];
  return number === undefined ? undefined : Number(number);
}
