import { asMap, asText, asTexts } from './_fields.ts';
import type { Xapi } from './client.ts';
import { unexpectedAnswer } from './failure.ts';
import type { StringMap } from './values.ts';

/** The one pool this host is in. */
export async function thePool(xapi: Xapi): Promise<string> {
  const [pool] = asTexts('pool.get_all', await xapi.call('pool.get_all'));
  if (pool === undefined) throw unexpectedAnswer('pool.get_all', 'one pool');
  return pool;
}

/** The pool master's host reference. */
export async function poolMaster(xapi: Xapi): Promise<string> {
  return asText('pool.get_master', await xapi.call('pool.get_master', await thePool(xapi)));
}

/** Licence restrictions, for example `restrict_read_caching`. */
export async function poolRestrictions(xapi: Xapi): Promise<StringMap> {
  return asMap('pool.get_restrictions', await xapi.call('pool.get_restrictions', await thePool(xapi)));
}

/** undefined for a pool that is not this one: metadata of another pool after a disaster recovery. */
export async function poolRefByUuid(xapi: Xapi, uuid: string): Promise<string | undefined> {
  const ref = await thePool(xapi);
  const own = asText('pool.get_uuid', await xapi.call('pool.get_uuid', ref));
  return own === uuid ? ref : undefined;
}
