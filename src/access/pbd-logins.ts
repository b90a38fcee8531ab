import { hasCode } from '../base/error.ts';
import type { Secret } from '../base/secret.ts';
import { lastStep, type Step, step } from '../base/steps.ts';
import { runSteps } from '../system/running-steps.ts';
import type { Xapi } from '../xapi/client.ts';
import { allPbds, type PbdRecord, setPbdDeviceConfig } from '../xapi/pbd.ts';
import { createSecret, destroySecret, secretByUuid, setSecretValue } from '../xapi/secret.ts';
import type { StringMap } from '../xapi/values.ts';
import { hasAll } from './pbd-fields.ts';

/** What a device_config has of a login. */
export interface PbdLogin {
  /** `password` or `chappassword`: what is under it, or the secret under `<passwordKey>_secret`, becomes `value`. */
  readonly passwordKey: string;
  readonly value: Secret;
  /** Keys that get a value beside it: the user's. */
  readonly fields: StringMap;
  /** Keys that say the same in another way, and go. */
  readonly instead: readonly string[];
}

/**
 * Gives every one of these PBDs the login: each in one call, so that a crash leaves some with the old login and some
 * with the new. Where only the value changes the secret stays and gets the value; else the PBD gets a secret of its
 * own, and those that no PBD names any more are destroyed. Answers the PBDs that were not so already.
 */
export async function givePbdLogin(
  xapi: Xapi,
  srUuid: string,
  pbds: readonly PbdRecord[],
  login: PbdLogin,
): Promise<readonly PbdRecord[]> {
  const logins: Logins = { xapi, srUuid, pbds, login, changed: [] };
  await runSteps(loginsSteps, logins);
  const { changed } = logins;
  // A secret with several PBDs got its value by the first of them.
  const secretKey = secretKeyOf(login);
  return pbds.filter((pbd) => changed.includes(pbd) || changed.some((other) => sameSecret(pbd, other, secretKey)));
}

/** The change of several PBDs. */
interface Logins {
  readonly xapi: Xapi;
  readonly srUuid: string;
  readonly pbds: readonly PbdRecord[];
  readonly login: PbdLogin;
  readonly changed: PbdRecord[];
}

export const loginsSteps: readonly Step<Logins>[] = [
  step('pbd-login.after-pbds', changeEach, {
    does: 'each PBD, as below',
    leaves: { id: 'replaced-secrets', says: 'secrets nobody names' },
    mendedBy: { by: ['doctor'], says: '`rbdsr doctor` names them' },
  }),
  lastStep(destroyReplaced, 'the secrets that no PBD names any more are destroyed'),
];

async function changeEach({ xapi, srUuid, pbds, login, changed }: Logins): Promise<void> {
  const secretKey = secretKeyOf(login);
  const refs = new Set(pbds.map(({ ref }) => ref));
  const foreign = (await allPbds(xapi)).filter(({ ref }) => !refs.has(ref));
  for (const pbd of pbds) {
    const uuid = pbd.deviceConfig[secretKey];
    const value = uuid === undefined ? undefined : await valueOf(xapi, uuid, secretKey);
    const settled = isSettled(pbd.deviceConfig, login);
    if (settled && value?.reveal() === login.value.reveal()) continue;
    changed.push(pbd);
    const stays = settled && uuid !== undefined && value !== undefined && !namedBy(foreign, uuid);
    await runSteps(loginSteps, { xapi, srUuid, pbd, login, ...(stays ? { secret: uuid } : {}) });
  }
}

/** The change of one PBD. */
interface Login {
  readonly xapi: Xapi;
  readonly srUuid: string;
  readonly pbd: PbdRecord;
  readonly login: PbdLogin;
  /** The one that stays and gets another value. */
  readonly secret?: string;
  /** Made by the first step. */
  own?: string;
}

export const loginSteps: readonly Step<Login>[] = [
  step('pbd-login.after-secret', makeSecret, {
    does: 'where more than the value of its secret changes: a xapi secret with the value',
    leaves: { id: 'own-secret', says: 'a secret nobody names' },
    mendedBy: { by: ['again'], says: 'the same command again makes another; `rbdsr doctor` names it' },
    when: ({ secret }) => secret === undefined,
  }),
  step('pbd-login.after-pbd', writeLogin, {
    does: 'one call, `PBD.set_device_config`, or `secret.set_value` alone',
    leaves: { id: 'some-logins', says: 'some PBDs with the login of before, some with the new one' },
    mendedBy: { by: ['again'], says: 'the same command again does the rest' },
  }),
];

async function makeSecret(change: Login): Promise<void> {
  change.own = await createSecret(change.xapi, change.login.value, change.srUuid);
}

async function writeLogin({ xapi, pbd, login, secret, own }: Login): Promise<void> {
  if (secret !== undefined) await setSecretValue(xapi, secret, login.value);
  if (own === undefined) return;
  await setPbdDeviceConfig(xapi, pbd.ref, {
    ...without(pbd.deviceConfig, [login.passwordKey, ...login.instead]),
    ...login.fields,
    [secretKeyOf(login)]: own,
  });
}

/** Nothing but the secret's value differs. */
function isSettled(config: StringMap, { passwordKey, fields, instead }: PbdLogin): boolean {
  return hasAll(config, fields) && ![passwordKey, ...instead].some((key) => Object.hasOwn(config, key));
}

/** Undefined for a secret that is gone: after SR.create all PBDs share one, which dies with the first of them. */
async function valueOf(xapi: Xapi, uuid: string, name: string): Promise<Secret | undefined> {
  try {
    return await secretByUuid(xapi, uuid, name);
  } catch (error) {
    if (hasCode(error, 'invalid-secret')) return undefined;
    throw error;
  }
}

async function destroyReplaced({ xapi, login, changed }: Logins): Promise<void> {
  const all = await allPbds(xapi);
  const replaced = changed.flatMap(({ deviceConfig }) => deviceConfig[secretKeyOf(login)] ?? []);
  for (const uuid of new Set(replaced)) if (!namedBy(all, uuid)) await destroySecret(xapi, uuid);
}

function secretKeyOf({ passwordKey }: PbdLogin): string {
  return `${passwordKey}_secret`;
}

function namedBy(pbds: readonly PbdRecord[], uuid: string): boolean {
  return pbds.some(({ deviceConfig }) => Object.values(deviceConfig).includes(uuid));
}

function sameSecret(a: PbdRecord, b: PbdRecord, key: string): boolean {
  return a.deviceConfig[key] !== undefined && a.deviceConfig[key] === b.deviceConfig[key];
}

function without(map: StringMap, keys: readonly string[]): StringMap {
  return Object.fromEntries(Object.entries(map).filter(([key]) => !keys.includes(key)));
}
