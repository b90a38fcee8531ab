import { type Row, stringOf } from './database.ts';
import type { XapiDouble } from './double.ts';

type StringMap = Readonly<Record<string, string>>;

/**
 * Every key that ends in `password` becomes `<key>_secret` with a new secret's uuid (xen-api `xapi_secret.ml`, since
 * 1.216).
 */
export function movePasswords(double: XapiDouble, config: StringMap): StringMap {
  if (!double.profile.movesPasswords) return config;
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) =>
      key.endsWith('password') ? [`${key}_secret`, createSecret(double, value)] : [key, value],
    ),
  );
}

/** What PBD.create does: each PBD gets secrets of its own for the keys that end in `password_secret`. */
export function duplicateSecrets(double: XapiDouble, config: StringMap): StringMap {
  if (!double.profile.movesPasswords) return config;
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => {
      const secret = key.endsWith('password_secret') ? secretRow(double, value) : undefined;
      return [key, secret === undefined ? value : createSecret(double, stringOf(secret, 'value'))];
    }),
  );
}

/** What destroying a PBD does, and an SR with its sm_config: secrets that are named there go too. */
export function destroySecrets(double: XapiDouble, config: StringMap): void {
  for (const [key, uuid] of Object.entries(config)) {
    const secret = key.endsWith('_secret') ? secretRow(double, uuid) : undefined;
    if (secret !== undefined) double.db.destroy('secret', secret.ref);
  }
}

function createSecret(double: XapiDouble, value: string): string {
  return stringOf(double.db.create('secret', { value }), 'uuid');
}

function secretRow(double: XapiDouble, uuid: string): Row | undefined {
  return double.db.where('secret', 'uuid', uuid)[0];
}
