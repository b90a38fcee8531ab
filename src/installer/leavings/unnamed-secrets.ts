import { type XmlRpcValue, isArray, isStruct } from '../../xmlrpc/value.ts';
import type { Xapi } from '../../xapi/client.ts';
import { OWNER_KEY } from '../../xapi/secret.ts';

export interface UnnamedSecret {
  readonly uuid: string;
  /** Its other_config says that RBDSR made it. */
  readonly isOurs: boolean;
}

/** Secrets that no SR, PBD or pool record names, by uuid or by reference. Their values are never asked for. */
export async function unnamedSecrets(xapi: Xapi): Promise<readonly UnnamedSecret[]> {
  const named = new Set<string>();
  for (const type of ['SR', 'PBD', 'pool']) collectTexts(await xapi.call(`${type}.get_all_records`), named);
  const refs = await xapi.call('secret.get_all');
  const unnamed: UnnamedSecret[] = [];
  for (const ref of isArray(refs) ? refs : []) {
    const uuid = await xapi.call('secret.get_uuid', ref);
    if (typeof ref !== 'string' || typeof uuid !== 'string' || named.has(uuid) || named.has(ref)) continue;
    const config = await xapi.call('secret.get_other_config', ref);
    unnamed.push({ uuid, isOurs: isStruct(config) && config[OWNER_KEY] !== undefined });
  }
  return unnamed;
}

function collectTexts(value: XmlRpcValue, into: Set<string>): void {
  if (typeof value === 'string') into.add(value);
  else if (isArray(value)) for (const item of value) collectTexts(item, into);
  else if (isStruct(value)) for (const item of Object.values(value)) collectTexts(item, into);
}
