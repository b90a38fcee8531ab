import type { Xapi } from './client.ts';
import { isXapiFailure } from './failure.ts';

/**
 * The maps of xapi's database a storage driver writes to. Others write there too, so only single keys are ever changed.
 */
export type XapiMap =
  | 'SR.sm_config'
  | 'SR.other_config'
  | 'VDI.sm_config'
  | 'VDI.other_config'
  | 'VDI.xenstore_data'
  | 'PBD.other_config'
  | 'host.other_config'
  | 'pool.other_config'
  | 'secret.other_config';

/** Adds a key. True when it was added, false when the map has one of that name: adding is how a key is claimed. */
export async function addMapKey(xapi: Xapi, map: XapiMap, ref: string, key: string, value: string): Promise<boolean> {
  try {
    await xapi.call(method('add_to', map), ref, key, value);
    return true;
  } catch (error) {
    if (isXapiFailure(error, 'MAP_DUPLICATE_KEY')) return false;
    throw error;
  }
}

/** Removes a key; nothing happens when it is not there. */
export async function removeMapKey(xapi: Xapi, map: XapiMap, ref: string, key: string): Promise<void> {
  await xapi.call(method('remove_from', map), ref, key);
}

/** Gives a key its value, whatever it had: removes and adds it, and again when somebody else added it in between. */
export async function setMapKey(xapi: Xapi, map: XapiMap, ref: string, key: string, value: string): Promise<void> {
  for (let attempt = 1; attempt < ATTEMPTS; attempt += 1) {
    await removeMapKey(xapi, map, ref, key);
    if (await addMapKey(xapi, map, ref, key, value)) return;
  }
  await removeMapKey(xapi, map, ref, key);
  await xapi.call(method('add_to', map), ref, key, value);
}

const ATTEMPTS = 4;

function method(verb: 'add_to' | 'remove_from', map: XapiMap): string {
  const [cls, field] = map.split('.');
  return `${cls}.${verb}_${field}`;
}
