import { lastStep, type Step, step } from '../../base/steps.ts';
import { runSteps } from '../../system/running-steps.ts';
import type { Xapi } from '../../xapi/client.ts';
import { removeMapKey, setMapKey } from '../../xapi/map-keys.ts';
import { destroySecret } from '../../xapi/secret.ts';
import { srSmConfig } from '../../xapi/sr.ts';
import { KEPT, NEXT_USER } from '../kept-keys.ts';
import { isOwnUser } from './own-user-name.ts';

export interface SrIdentity {
  readonly ref: string;
  readonly uuid: string;
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
  await runSteps(finishSteps, { xapi, sr, user, secret, replaced });
  return user;
}

/** The keys themselves, which nobody reads before the end. */
interface Finishing {
  readonly xapi: Xapi;
  readonly sr: SrIdentity;
  readonly user: string;
  readonly secret: string;
  /** The secret of the user before. */
  readonly replaced: string | undefined;
}

export const finishSteps: readonly Step<Finishing>[] = [
  step('rekey.after-user', keepUser, {
    does: '`rbd_own_user`, `rbd_user`',
    leaves: { id: 'next-secret-and-user', says: 'the same' },
    mendedBy: { by: ['again'], says: 'the same' },
  }),
  step('rekey.after-secret', ({ xapi, sr, secret }) => set(xapi, sr, KEPT.secret, secret), {
    does: '`rbd_password_secret`',
    leaves: { id: 'next-secret-and-all', says: 'the same, and the old secret without a name' },
    mendedBy: { by: ['again'], says: 'the same; `rbdsr doctor` names the secret' },
  }),
  step('rekey.after-switch', ({ xapi, sr }) => removeMapKey(xapi, SM_CONFIG, sr.ref, KEPT.nextSecret), {
    does: '`rbd_next_password_secret` is removed',
    leaves: { id: 'switched', says: 'done, but for `rbd_next_user_<secret>` and the old secret' },
    mendedBy: { by: ['doctor'], says: 'they do no harm; `rbdsr doctor` names the secret' },
  }),
  lastStep(clear, '`rbd_next_user_<secret>` is removed, the old secret destroyed'),
];

async function keepUser({ xapi, sr, user }: Finishing): Promise<void> {
  await set(xapi, sr, KEPT.ownUser, String(isOwnUser(user, sr.uuid)));
  await set(xapi, sr, KEPT.user, user);
}

async function clear({ xapi, sr, secret, replaced }: Finishing): Promise<void> {
  await removeMapKey(xapi, SM_CONFIG, sr.ref, `${NEXT_USER}${secret}`);
  if (replaced !== undefined && replaced !== secret) await destroySecret(xapi, replaced);
}

function set(xapi: Xapi, sr: SrIdentity, key: string, value: string): Promise<void> {
  return setMapKey(xapi, SM_CONFIG, sr.ref, key, value);
}

/** Where an SR keeps its user. */
export const SM_CONFIG = 'SR.sm_config';
