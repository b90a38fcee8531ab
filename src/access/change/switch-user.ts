import { type Step, step } from '../../base/steps.ts';
import { runSteps } from '../../system/running-steps.ts';
import type { Xapi } from '../../xapi/client.ts';
import { addMapKey, removeMapKey, setMapKey } from '../../xapi/map-keys.ts';
import { srSmConfig } from '../../xapi/sr.ts';
import type { StringMap } from '../../xapi/values.ts';
import { FORMER_USER, KEPT, NEXT_USER, readKept } from '../kept-keys.ts';
import { finishSwitch, SM_CONFIG, type SrIdentity } from './finish-switch.ts';
import { isOwnUser } from './own-user-name.ts';

/**
 * From one moment to the next the SR uses this user, whose key is in this secret. The secret it used before is
 * destroyed; a user of our own that it used before is remembered as a former one. False where another change stands
 * there half done, which is finished instead: `secret` is not used then.
 */
export async function switchUser(xapi: Xapi, sr: SrIdentity, user: string, secret: string): Promise<boolean> {
  const map = await srSmConfig(xapi, sr.ref);
  const switching: Switching = { xapi, sr, user, secret, map, added: false };
  await runSteps(switchSteps, switching);
  await finishSwitch(xapi, sr);
  return switching.added;
}

/** Until the new user counts; `finishSteps` follow. */
interface Switching {
  readonly xapi: Xapi;
  readonly sr: SrIdentity;
  readonly user: string;
  /** With the user's key. */
  readonly secret: string;
  /** SR.sm_config, as it was. */
  readonly map: StringMap;
  /** By the last step: it is this change that counts. */
  added: boolean;
}

/** After each of them the SR can be plugged. */
export const switchSteps: readonly Step<Switching>[] = [
  step('rekey.after-former', noteFormer, {
    does: '`rbd_former_user_<old user>` is added',
    leaves: { id: 'former-user', says: 'a note that does not count while that user is in use' },
    mendedBy: { by: ['again'], says: 'rekey again' },
    when: (switching) => isUndisturbed(switching) && formerOf(switching) !== undefined,
  }),
  step('rekey.after-next-user', nameNext, {
    does: '`rbd_next_user_<secret>` is added',
    leaves: { id: 'next-user', says: 'a key that does not count' },
    mendedBy: { by: ['again'], says: 'nothing needs to: it goes with the SR' },
    when: isUndisturbed,
  }),
  step('rekey.after-next-secret', makeCount, {
    does: '`rbd_next_password_secret` is added',
    leaves: { id: 'next-secret', says: '**changed**: the new user counts' },
    mendedBy: { by: ['again'], says: 'rekey again finishes this one, and makes no other' },
  }),
];

/** No change of before stands there half done. */
function isUndisturbed({ map }: Switching): boolean {
  return map[KEPT.nextSecret] === undefined;
}

/** The user of our own that is replaced. */
function formerOf({ map, user, sr }: Switching): string | undefined {
  const before = readKept(map)?.user;
  return before !== undefined && before !== user && isOwnUser(before, sr.uuid) ? before : undefined;
}

async function noteFormer(switching: Switching): Promise<void> {
  const { xapi, sr } = switching;
  await addMapKey(xapi, SM_CONFIG, sr.ref, `${FORMER_USER}${formerOf(switching) ?? ''}`, new Date().toISOString());
}

async function nameNext({ xapi, sr, user, secret }: Switching): Promise<void> {
  if (!isOwnUser(user, sr.uuid)) await setMapKey(xapi, SM_CONFIG, sr.ref, KEPT.ownUser, 'false');
  await addMapKey(xapi, SM_CONFIG, sr.ref, `${NEXT_USER}${secret}`, user);
}

async function makeCount(switching: Switching): Promise<void> {
  const { xapi, sr, secret } = switching;
  switching.added = await addMapKey(xapi, SM_CONFIG, sr.ref, KEPT.nextSecret, secret);
  // Another was faster.
  if (!switching.added) await removeMapKey(xapi, SM_CONFIG, sr.ref, `${NEXT_USER}${secret}`);
}
