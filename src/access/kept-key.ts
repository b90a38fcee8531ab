import { hasCode } from '../base/error.ts';
import { lastStep, type Step, step } from '../base/steps.ts';
import { undo } from '../base/undo.ts';
import type { Secret } from '../base/secret.ts';
import { addMapKey, removeMapKey } from '../xapi/map-keys.ts';
import { createSecret, destroySecret, secretByUuid, setSecretValue } from '../xapi/secret.ts';
import { srSmConfig } from '../xapi/sr.ts';
import type { Xapi } from '../xapi/client.ts';
import { runSteps } from '../system/running-steps.ts';
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
  await runSteps(keepKeySteps, { work, xapi, srRef, key, isGone: uuid !== undefined });
}

interface Keeping {
  readonly work: SrWork;
  readonly xapi: Xapi;
  readonly srRef: string;
  readonly key: Secret;
  /** The SR names a secret that is not there. */
  readonly isGone: boolean;
  /** Made by its step. */
  secret?: string;
}

export const keepKeySteps: readonly Step<Keeping>[] = [
  step('kept-key.after-gone', ({ xapi, srRef }) => removeMapKey(xapi, 'SR.sm_config', srRef, KEPT_SECRET), {
    does: 'where `rbd_password_secret` names a secret that is gone: it is removed',
    leaves: { id: 'key-of-pbds-alone', says: 'an SR that keeps no key; its PBDs have theirs' },
    mendedBy: { by: ['sr_attach'], says: 'the next plug on the pool master' },
    when: ({ isGone }) => isGone,
  }),
  step('kept-key.after-secret', makeSecret, {
    does: 'a xapi secret with the key',
    leaves: { id: 'unnamed-secret', says: 'the same, and a secret nobody names' },
    mendedBy: { by: ['sr_attach'], says: 'the next plug on the pool master makes another; `rbdsr doctor` names it' },
  }),
  lastStep(nameSecret, '`rbd_password_secret` names it; where another host was faster it is destroyed'),
];

async function makeSecret(keeping: Keeping): Promise<void> {
  keeping.secret = await createSecret(keeping.xapi, keeping.key, srOf(keeping.work));
}

async function nameSecret({ work, xapi, srRef, secret }: Keeping): Promise<void> {
  if (secret === undefined) return;
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
