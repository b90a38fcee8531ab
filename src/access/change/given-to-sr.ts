import type { Secret } from '../../base/secret.ts';
import { lastStep, type Step, step } from '../../base/steps.ts';
import type { Xapi } from '../../xapi/client.ts';
import { createSecret, destroySecret } from '../../xapi/secret.ts';
import { givePbdLogin } from '../pbd-logins.ts';
import type { PoolSr } from '../pool-sr.ts';
import { finishSwitch } from './finish-switch.ts';
import { switchUser } from './switch-user.ts';

/** The giving of a user and key to a diverted SR. */
interface Giving extends Pick<PoolSr, 'sr' | 'pbds'> {
  readonly xapi: Xapi;
  readonly user: string;
  readonly key: Secret;
  /** With the key; by the first step. */
  secret?: string;
}

export const givenToSrSteps: readonly Step<Giving>[] = [
  step('rekey.after-given-secret', makeSecret, {
    does: 'a xapi secret with its key',
    leaves: { id: 'given-secret', says: 'a secret nobody names' },
    mendedBy: { by: ['again'], says: 'the same command again makes another; `rbdsr doctor` names it' },
  }),
  step('rekey.after-given', switchToGiven, {
    does: 'the SR uses it, by the steps above that follow the secret',
    leaves: { id: 'old-logins', says: '**changed**; PBDs that were given a cephx user have the one of before' },
    mendedBy: { by: ['again'], says: 'the same command again' },
  }),
  lastStep(loginAsTyped, 'these PBDs get it, as below'),
];

/** What another command has begun comes to its end first. */
async function makeSecret(giving: Giving): Promise<void> {
  const { xapi, sr, key } = giving;
  await finishSwitch(xapi, sr);
  giving.secret = await createSecret(xapi, key, sr.uuid);
}

async function switchToGiven({ xapi, sr, user, secret }: Giving): Promise<void> {
  if (secret === undefined) return;
  if (!(await switchUser(xapi, sr, user, secret))) await destroySecret(xapi, secret);
}

/** What the wizard was given is kept true: for an sr-introduce elsewhere, say. */
async function loginAsTyped({ xapi, sr, pbds, user, key }: Giving): Promise<void> {
  for (const [userKey, passwordKey] of CEPHX_FIELDS) {
    const typed = pbds.filter(({ deviceConfig }) => isCephx(userKey, deviceConfig[userKey]));
    const fields = { [userKey]: `client.${user}` };
    await givePbdLogin(xapi, sr.uuid, typed, { passwordKey, value: key, fields, instead: [] });
  }
}

const CEPHX_FIELDS = [
  ['chapuser', 'chappassword'],
  ['incoming_chapuser', 'incoming_chappassword'],
] as const;

function isCephx(userKey: string, value = ''): boolean {
  return value.startsWith('client.') || (userKey === 'incoming_chapuser' && value !== '');
}
