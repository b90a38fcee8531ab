import { RbdsrError } from '../base/error.ts';
import { Secret } from '../base/secret.ts';
import { asText } from './_fields.ts';
import type { Xapi } from './client.ts';
import { isGone } from './failure.ts';
import type { StringMap } from './values.ts';

/**
 * The secret a device_config holds under `key`: `<key>_secret` names an object of xapi by uuid and wins over `<key>`
 * itself. Undefined when neither is there. Throws 'invalid-secret' when the object is gone: after SR.create all PBDs
 * share one secret, which dies with the first.
 */
export async function configSecret(xapi: Xapi, deviceConfig: StringMap, key: string): Promise<Secret | undefined> {
  const uuid = deviceConfig[`${key}_secret`];
  if (uuid !== undefined && uuid !== '') return secretByUuid(xapi, uuid, `${key}_secret`);
  const clear = deviceConfig[key];
  return clear === undefined || clear === '' ? undefined : new Secret(clear);
}

/** `name` is the key that holds the uuid, for the message. */
export async function secretByUuid(xapi: Xapi, uuid: string, name: string): Promise<Secret> {
  try {
    const ref = asText('secret.get_by_uuid', await xapi.call('secret.get_by_uuid', uuid));
    return new Secret(asText('secret.get_value', await xapi.call('secret.get_value', ref)));
  } catch (error) {
    if (!isGone(error)) throw error;
    throw new RbdsrError('invalid-secret', {
      what: `the secret that ${name} names does not exist`,
      found: `uuid ${uuid}`,
      todo: 'Create it anew (xe secret-create) and put its uuid into the device-config of the PBD.',
      cause: error,
    });
  }
}

/**
 * A new secret object: its uuid. `sr` is whose it is, by which `rbdsr doctor` knows it when nothing names it any more.
 */
export async function createSecret(xapi: Xapi, value: Secret, sr: string): Promise<string> {
  const record = { value: value.reveal(), other_config: { [OWNER_KEY]: sr } };
  const ref = asText('secret.create', await xapi.call('secret.create', record));
  return asText('secret.get_uuid', await xapi.call('secret.get_uuid', ref));
}

/** Everything that names the secret has the new value at once. */
export async function setSecretValue(xapi: Xapi, uuid: string, value: Secret): Promise<void> {
  const ref = asText('secret.get_by_uuid', await xapi.call('secret.get_by_uuid', uuid));
  await xapi.call('secret.set_value', ref, value.reveal());
}

/** In other_config of the secrets that RBDSR makes. */
export const OWNER_KEY = 'rbdsr';

/** Nothing happens when there is none. */
export async function destroySecret(xapi: Xapi, uuid: string): Promise<void> {
  try {
    await xapi.call('secret.destroy', asText('secret.get_by_uuid', await xapi.call('secret.get_by_uuid', uuid)));
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}
