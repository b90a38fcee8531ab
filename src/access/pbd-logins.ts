import { hasCode } from '../base/error.ts';
import type { Secret } from '../base/secret.ts';
import { faultPoint } from '../system/fault-point.ts';
import type { Xapi } from '../xapi/client.ts';
import { allPbds, type PbdRecord, setPbdDeviceConfig } from '../xapi/pbd.ts';
import { createSecret, destroySecret, secretByUuid, setSecretValue } from '../xapi/secret.ts';
import type { StringMap } from '../xapi/values.ts';

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
  const secretKey = `${login.passwordKey}_secret`;
  const refs = new Set(pbds.map(({ ref }) => ref));
  const foreign = (await allPbds(xapi)).filter(({ ref }) => !refs.has(ref));
  const changed: PbdRecord[] = [];
  for (const pbd of pbds) {
    const uuid = pbd.deviceConfig[secretKey];
    const value = uuid === undefined ? undefined : await valueOf(xapi, uuid, secretKey);
    const settled = isSettled(pbd.deviceConfig, login);
    if (settled && value?.reveal() === login.value.reveal()) continue;
    changed.push(pbd);
    if (settled && uuid !== undefined && value !== undefined && !namedBy(foreign, uuid)) {
      await setSecretValue(xapi, uuid, login.value);
    } else {
      const own = await createSecret(xapi, login.value, srUuid);
      faultPoint('pbd-login.after-secret');
      await setPbdDeviceConfig(xapi, pbd.ref, {
        ...without(pbd.deviceConfig, [login.passwordKey, ...login.instead]),
        ...login.fields,
        [secretKey]: own,
      });
    }
    faultPoint('pbd-login.after-pbd');
  }
  await destroyReplaced(
    xapi,
    changed.flatMap(({ deviceConfig }) => deviceConfig[secretKey] ?? []),
  );
  // A secret with several PBDs got its value by the first of them.
  return pbds.filter((pbd) => changed.includes(pbd) || changed.some((other) => sameSecret(pbd, other, secretKey)));
}

/** Sets the same keys of every PBD, each in one call; answers the PBDs that were not so already. */
export async function setPbdFields(
  xapi: Xapi,
  pbds: readonly PbdRecord[],
  fields: StringMap,
): Promise<readonly PbdRecord[]> {
  const stale = pbds.filter(({ deviceConfig }) => !hasAll(deviceConfig, fields));
  for (const pbd of stale) {
    await setPbdDeviceConfig(xapi, pbd.ref, { ...pbd.deviceConfig, ...fields });
    faultPoint('pbd-fields.after-pbd');
  }
  return stale;
}

/** Nothing but the secret's value differs. */
function isSettled(config: StringMap, { passwordKey, fields, instead }: PbdLogin): boolean {
  return hasAll(config, fields) && ![passwordKey, ...instead].some((key) => Object.hasOwn(config, key));
}

function hasAll(config: StringMap, fields: StringMap): boolean {
  return Object.entries(fields).every(([key, value]) => config[key] === value);
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

async function destroyReplaced(xapi: Xapi, uuids: readonly string[]): Promise<void> {
  const all = await allPbds(xapi);
  for (const uuid of new Set(uuids)) if (!namedBy(all, uuid)) await destroySecret(xapi, uuid);
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
