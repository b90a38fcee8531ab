import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { RbdsrError } from '../../base/error.ts';
import { type Mending, type Step, step } from '../../base/steps.ts';
import { undo } from '../../base/undo.ts';
import { runSteps } from '../../system/running-steps.ts';
import type { Xapi } from '../../xapi/client.ts';
import { addMapKey, removeMapKey, setMapKey } from '../../xapi/map-keys.ts';
import { vdiSmConfig } from '../../xapi/vdi.ts';
import type { StringMap } from '../../xapi/values.ts';
import { undoWork } from '../work/work-until.ts';
import type { SrWork } from '../work/work.ts';
import { markedInEarnest } from './marked-hosts.ts';
import { hostRefOf, vdiOf, vdiRefOf } from '../work/subject.ts';

const PREFIX = 'host_';
const MAP = 'VDI.sm_config';
const RETRY_MS = 1000;
/** `activating` is believed for so long: who lives has tagged the disk by then. */
export const BELIEVED_MS = 15_000;

/** The hosts that have the VDI active: their references. */
export function activeHosts(smConfig: StringMap): readonly string[] {
  return Object.keys(smConfig)
    .filter((key) => key.startsWith(PREFIX))
    .map((key) => key.slice(PREFIX.length));
}

/** The same without one of them. */
export function otherHosts(smConfig: StringMap, host: string): readonly string[] {
  return activeHosts(smConfig).filter((other) => other !== host);
}

/** Hosts whose claim does not go together with ours: one writer excludes all others. Pure. */
export function conflictingHosts(smConfig: StringMap, host: string, writable: boolean): readonly string[] {
  return otherHosts(smConfig, host).filter(
    (other) => smConfig[PREFIX + other] === 'RW' || (writable && smConfig[PREFIX + other] === 'RO'),
  );
}

/** Why the VDI may not be activated for the moment; undefined where nothing holds it back. Pure. */
export function heldBackBy(smConfig: StringMap, activatingKey: boolean): string | undefined {
  const keys = activatingKey ? ['paused', 'relinking'] : ['paused'];
  return keys.find((key) => Object.hasOwn(smConfig, key));
}

/**
 * `activating` is believed for a while, as a collector does: of an activate that lives the tag is there by then, which
 * is what counts from then on, and that of one that died nobody takes away while another host has the VDI. Pure.
 */
export function isAbandoned(seenForMs: number): boolean {
  return seenForMs > BELIEVED_MS;
}

/**
 * Tags the VDI as active on this host, so that a snapshot or a coalesce on the master knows whom to tell (sm
 * `blktap2.VDI._add_tag`). Single keys only: every host of the pool writes to this map. Undefined: held back, to be
 * tried again without the VDI's lock, which has been so for `waitedMs`. `isNew` tells whether the tag is ours to take
 * away after a failure. 'vdi-unavailable' for another host's claim.
 */
export async function tryClaim(
  work: SrWork,
  writable: boolean,
  waitedMs: number,
): Promise<{ readonly isNew: boolean } | undefined> {
  const xapi = await work.xapi();
  const ref = vdiRefOf(work);
  const { activatingKey } = work.profile;
  const before = await vdiSmConfig(xapi, ref);
  await refuseConflicts(work, before, writable);
  if (heldBackBy(before, activatingKey) !== undefined) return undefined;
  const own = before[PREFIX + hostRefOf(work)];
  const isNew = own === undefined;
  // Our own key beside it is left by a call of ours that died: nobody else activates under this host's lock of the VDI.
  const takesOver = !isNew || isAbandoned(waitedMs);
  const claim: Claiming = { work, xapi, own, value: writable ? 'RW' : 'RO', takesOver, activating: 'unknown' };
  try {
    await runSteps(claimSteps, claim);
    if (claim.activating === 'theirs') return undefined;
    const after = await vdiSmConfig(xapi, ref);
    if (heldBackBy(after, activatingKey) === undefined && conflictsOf(work, after, writable).length === 0) {
      return { isNew };
    }
  } catch (error) {
    // Nobody can tell then whose `activating` it is, and nothing else was written.
    if (activatingKey && claim.activating === 'unknown') throw error;
    return undoClaim(work, error, isNew);
  }
  if (isNew) await releaseClaim(work);
  await finishClaim(work);
  return undefined;
}

/** The marking of one disk. */
interface Claiming {
  readonly work: SrWork;
  readonly xapi: Xapi;
  /** What this host's mark says that is there already. */
  readonly own: string | undefined;
  readonly value: 'RW' | 'RO';
  /** Whether an `activating` that is there already is nobody else's. */
  readonly takesOver: boolean;
  /** Whose `activating` it is. */
  activating: 'unknown' | 'ours' | 'theirs';
}

/** A mark of this host, while nothing serves the disk, and what it keeps others from. */
export const marksGo: Mending = {
  by: ['vdi_activate', 'vdi_deactivate', 'vdi_activate elsewhere', 'sr_attach'],
  says: 'activating, deactivating, sr_attach, or another host that wants the disk',
};

/** The command goes on with the disk's volumes and data path (src/sr/disk/vdi-target.ts). */
export const claimSteps: readonly Step<Claiming>[] = [
  step('vdi-activate.activating', noteActivating, {
    does: '`activating` in VDI.sm_config, where the host version has it',
    leaves: { id: 'activating', says: 'that key, without a mark of any host' },
    mendedBy: {
      by: ['vdi_activate', 'vdi_deactivate', 'vdi_activate elsewhere'],
      says: 'activating, here or on another host, which first waits 15 s for the mark to come; deactivating',
    },
    when: ({ work }) => work.profile.activatingKey,
  }),
  step('vdi-activate.after-claim', mark, {
    does: 'the mark of this host, `host_<host>`',
    leaves: { id: 'marked', says: 'both keys; nothing of the disk is active' },
    mendedBy: marksGo,
    when: ({ activating }) => activating !== 'theirs',
  }),
];

async function noteActivating(claim: Claiming): Promise<void> {
  const { work, xapi, takesOver } = claim;
  const isAdded = await addMapKey(xapi, MAP, vdiRefOf(work), 'activating', 'True');
  claim.activating = isAdded || takesOver ? 'ours' : 'theirs';
}

async function mark({ work, xapi, own, value }: Claiming): Promise<void> {
  const [ref, key] = [vdiRefOf(work), PREFIX + hostRefOf(work)];
  if (own === undefined) await addMapKey(xapi, MAP, ref, key, value);
  else if (own !== value) await setMapKey(xapi, MAP, ref, key, value);
}

/**
 * Before a disk that has just come into use is handed out. A xapi that starts anew meanwhile takes the marks away of
 * disks that are not in use by what it remembers (xen-api `refresh_local_vdi_activations`), and then nothing keeps
 * another host away: ours is put back. 'vdi-unavailable' where another host has the disk by then.
 */
export async function keepClaim(work: SrWork, writable: boolean): Promise<void> {
  const xapi = await work.xapi();
  const [ref, key] = [vdiRefOf(work), PREFIX + hostRefOf(work)];
  const found = await vdiSmConfig(xapi, ref);
  if (Object.hasOwn(found, key)) return;
  refuseTaken(work, found, writable);
  await addMapKey(xapi, MAP, ref, key, writable ? 'RW' : 'RO');
  try {
    refuseTaken(work, await vdiSmConfig(xapi, ref), writable);
  } catch (error) {
    await releaseClaim(work);
    throw error;
  }
  work.log.warn(`the mark of this host on VDI ${vdiOf(work)} had gone while the disk came into use: it is put back`);
}

function refuseTaken(work: SrWork, smConfig: StringMap, writable: boolean): void {
  const [other] = conflictsOf(work, smConfig, writable);
  if (other === undefined) return;
  throw new RbdsrError('vdi-unavailable', {
    what: `VDI ${vdiOf(work)} has been taken by another host while it came into use here`,
    expected: 'the mark of this host, which somebody has removed',
    found: `that of host ${other}`,
    todo: 'Was the toolstack of this host restarted? Try again once the disk is free.',
    facts: { host: other },
  });
}

/** After `error`, which it throws; also where nobody knows whether xapi has taken the tag. */
export async function undoClaim(work: SrWork, error: unknown, release: boolean): Promise<never> {
  const undoing = undoWork(work);
  return undo(error, {
    [`the mark on VDI ${vdiOf(work)} in xapi`]: async () => {
      await finishClaim(undoing);
      if (release) await releaseClaim(undoing);
    },
  });
}

/** `activating` goes when the disk can be used, or when it is not going to be. */
export async function finishClaim(work: SrWork): Promise<void> {
  if (work.profile.activatingKey) await removeMapKey(await work.xapi(), MAP, vdiRefOf(work), 'activating');
}

/**
 * After a crash `activating` may be left beside our tag. It is another host's where such a one has tagged the VDI, too.
 */
export async function releaseAbandonedClaim(work: SrWork, smConfig: StringMap): Promise<void> {
  const isOurs = otherHosts(smConfig, hostRefOf(work)).length === 0;
  if (Object.hasOwn(smConfig, 'activating') && isOurs) await finishClaim(work);
  await releaseClaim(work);
}

export async function releaseClaim(work: SrWork): Promise<void> {
  await removeMapKey(await work.xapi(), MAP, vdiRefOf(work), PREFIX + hostRefOf(work));
}

/** Before the next attempt; 'deadline' where there is no time for one. */
export async function waitForRelease(work: SrWork, why: string, startedAt: number): Promise<void> {
  work.waiting(why);
  if (work.deadline.leftMs <= RETRY_MS) throw work.deadline.exceeded(why, startedAt);
  await sleep(RETRY_MS);
}

async function refuseConflicts(work: SrWork, smConfig: StringMap, writable: boolean): Promise<void> {
  const kept = await markedInEarnest(work, conflictsOf(work, smConfig, writable));
  if (kept === undefined) return;
  throw new RbdsrError('vdi-unavailable', {
    what: `VDI ${vdiOf(work)} not detached cleanly`,
    expected: 'no other host that has it active',
    found: `its mark says ${smConfig[PREFIX + kept.ref] ?? ''}, and ${kept.found}`,
    todo: kept.todo,
    facts: { host: kept.ref },
  });
}

/** None where the administrator has said that he knows what he does (sm `blktap2`, NO_MULTIPLE_ATTACH). */
function conflictsOf(work: SrWork, smConfig: StringMap, writable: boolean): readonly string[] {
  if (existsSync(`${work.profile.paths.root}/etc/xensource/allow_multiple_vdi_attach`)) return [];
  return conflictingHosts(smConfig, hostRefOf(work), writable);
}
