import type { Secret } from '../../base/secret.ts';
import { lastStep, type Step, step } from '../../base/steps.ts';
import { parseUser } from '../../ceph/cluster/access.ts';
import type { Xapi } from '../../xapi/client.ts';
import { isGone } from '../../xapi/failure.ts';
import { setSecretValue } from '../../xapi/secret.ts';
import type { StringMap } from '../../xapi/values.ts';
import { KEPT_SECRET } from '../kept-key.ts';
import { givePbdLogin } from '../pbd-logins.ts';
import type { PoolSr } from '../pool-sr.ts';

/** The giving of a user and key to an SR of type rbd. */
interface Giving extends Pick<PoolSr, 'sr' | 'pbds'> {
  readonly xapi: Xapi;
  readonly user: string;
  readonly key: Secret;
}

export const givenToPbdsSteps: readonly Step<Giving>[] = [
  step('rekey.after-logins', loginByKey, {
    does: 'the PBDs get it, as below',
    leaves: { id: 'old-copy', says: 'an old key in the copy that the SR keeps, which is read where a PBD has none' },
    mendedBy: { by: ['again'], says: 'the same command again' },
  }),
  lastStep(copyKey, "`rbd_password_secret`'s secret gets the key, where the SR has one"),
];

async function loginByKey({ xapi, sr, pbds, user, key }: Giving): Promise<void> {
  const isSame = pbds.every(({ deviceConfig }) => userOf(deviceConfig) === user);
  const fields: StringMap = isSame ? {} : { user };
  await givePbdLogin(xapi, sr.uuid, pbds, { passwordKey: 'password', value: key, fields, instead: ['keyring'] });
}

async function copyKey({ xapi, sr, key }: Giving): Promise<void> {
  const kept = sr.smConfig[KEPT_SECRET];
  if (kept !== undefined) await setSecretValue(xapi, kept, key).catch(unlessGone);
}

/** The next plug on the pool master makes a copy that is gone anew. */
function unlessGone(error: unknown): void {
  if (!isGone(error)) throw error;
}

/** As the driver reads it. */
export function userOf(config: StringMap): string {
  const { user = '' } = config;
  return parseUser(user === '' ? 'admin' : user);
}
