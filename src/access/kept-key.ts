import { hasCode } from '../base/error.ts';
import { undo } from '../base/undo.ts';
import type { Secret } from '../base/secret.ts';
import { addMapKey, removeMapKey } from '../xapi/map-keys.ts';
import { createSecret, destroySecret, secretByUuid, setSecretValue } from '../xapi/secret.ts';
import { srSmConfig } from '../xapi/sr.ts';
import type { Xapi } from '../xapi/client.ts';
import { undoWork } from '../sr/work/work-until.ts';
import type { SrWork } from '../sr/work/work.ts';
import { srOf } from '../sr/work/subject.ts';

/**
 * In SR.sm_config: the uuid of a secret that is the SR's own and holds its cephx key. After SR.create all PBDs name one
 * secret, which xapi destroys with the first of them (xen-api `xapi_pbd.ml`); this one it destroys with the SR, as
 * every key of this ending.
 */
export const KEPT_SECRET = 'rbd_password_secret';

/** Undefined where the SR keeps none. */
export async function keptKey(work: SrWork): Promise<Secret | undefined> {
  const { srRef } = work.subject;
  if (srRef === undefined) return undefined;
  const xapi = await work.xapi();
  return valueOf(xapi, (await srSmConfig(xapi, srRef))[KEPT_SECRET]);
}

/** Makes the SR keep this key. Nothing is written where it does already. */
export async function keepKey(work: SrWork, key: Secret): Promise<void> {
  const { srRef } = work.subject;
  if (srRef === undefined) return;
  const xapi = await work.xapi();
  // Read anew: the operator may have given the SR another key while the image was being mapped.
  const uuid = (await srSmConfig(xapi, srRef))[KEPT_SECRET];
  const kept = await valueOf(xapi, uuid);
  if (kept?.reveal() === key.reveal()) return;
  if (uuid !== undefined && kept !== undefined) {
    await setSecretValue(xapi, uuid, key);
    return;
  }
  if (uuid !== undefined) await removeMapKey(xapi, 'SR.sm_config', srRef, KEPT_SECRET);
  const secret = await createSecret(xapi, key, srOf(work));
  try {
    if (await addMapKey(xapi, 'SR.sm_config', srRef, KEPT_SECRET, secret)) return;
  } catch (error) {
    return undo(error, { [`secret ${secret}`]: async () => destroySecret(await undoWork(work).xapi(), secret) });
  }
  await destroySecret(xapi, secret);
}

/** After an sr_create that failed. */
export async function forgetKey(work: SrWork): Promise<void> {
  const { srRef } = work.subject;
  if (srRef === undefined) return;
  const xapi = await work.xapi();
  const uuid = (await srSmConfig(xapi, srRef))[KEPT_SECRET];
  if (uuid === undefined) return;
  await removeMapKey(xapi, 'SR.sm_config', srRef, KEPT_SECRET);
  await destroySecret(xapi, uuid);
}

async function valueOf(xapi: Xapi, uuid: string | undefined): Promise<Secret | undefined> {
  if (uuid === undefined) return undefined;
  try {
    return await secretByUuid(xapi, uuid, `SR.sm_config:${KEPT_SECRET}`);
  } catch (error) {
    if (hasCode(error, 'invalid-secret')) return undefined;
    throw error;
  }
}
