import { type VdiDifference, vdiDifference } from './_vdi-difference.ts';
import type { Xapi } from './client.ts';
import { isGone } from './failure.ts';
import { removeMapKey, setMapKey } from './map-keys.ts';
import type { StorageVdi } from './storage-vdi.ts';
import { changeVdi, forgetVdi, introduceVdi, type VdiIntroduction, type VdiRecord } from './vdi.ts';

export type ReconcileStep =
  | { readonly kind: 'introduce'; readonly vdi: StorageVdi }
  | { readonly kind: 'forget'; readonly ref: string; readonly uuid: string }
  | ({ readonly kind: 'update'; readonly ref: string; readonly uuid: string } & VdiDifference)
  | { readonly kind: 'link-snapshot'; readonly snapshot: string; readonly of: string };

/**
 * What xapi's database lacks to say what the storage says (sm `SR.synchronise`): records of VDIs that are new, then
 * records without a VDI, then records that differ, then which snapshot is of which VDI. A VDI is found by its location,
 * which is its uuid. Nothing to do is an empty plan. The records have to be read under the SR's lock, and the storage
 * walked under the same hold of it.
 */
export function planReconciliation(records: readonly VdiRecord[], storage: readonly StorageVdi[]): ReconcileStep[] {
  const known = new Map(records.map((record) => [record.location, record]));
  const present = new Map(storage.map((vdi) => [vdi.uuid, vdi]));
  const steps: ReconcileStep[] = [];
  for (const vdi of present.values()) if (!known.has(vdi.uuid)) steps.push({ kind: 'introduce', vdi });
  for (const { location, ref, uuid } of records) {
    if (!present.has(location)) steps.push({ kind: 'forget', ref, uuid });
  }
  for (const vdi of present.values()) {
    const record = known.get(vdi.uuid);
    const difference = record === undefined ? undefined : vdiDifference(vdi, record);
    if (record !== undefined && difference !== undefined) {
      steps.push({ kind: 'update', ref: record.ref, uuid: record.uuid, ...difference });
    }
  }
  return [...steps, ...links(known, present)];
}

/** Only towards a VDI that is there: the source of an old snapshot is usually long gone. */
function* links(
  known: ReadonlyMap<string, VdiRecord>,
  present: ReadonlyMap<string, StorageVdi>,
): Iterable<ReconcileStep> {
  for (const { uuid, isASnapshot, snapshotOf } of present.values()) {
    if (isASnapshot !== true || snapshotOf === undefined || !present.has(snapshotOf)) continue;
    const record = known.get(uuid);
    const source = known.get(snapshotOf);
    if (record === undefined || source === undefined || record.snapshotOf !== source.ref) {
      yield { kind: 'link-snapshot', snapshot: uuid, of: snapshotOf };
    }
  }
}

export interface ReconcileTarget {
  readonly srRef: string;
  /** The host profile's dbIntroduceArity. */
  readonly arity: 18 | 19;
  /** The records the plan was made from. */
  readonly records: readonly VdiRecord[];
  /** Reference of a pool by uuid, for VDIs of type metadata; none unless given. */
  readonly poolRef?: (uuid: string) => Promise<string | undefined>;
}

/** Carries a plan out, in its order. A record that vanished meanwhile is passed over; any other failure ends it. */
export async function reconcile(xapi: Xapi, plan: readonly ReconcileStep[], target: ReconcileTarget): Promise<void> {
  const refs = new Map(target.records.map(({ location, ref }) => [location, ref]));
  for (const step of plan) {
    if (step.kind === 'introduce') {
      refs.set(step.vdi.uuid, await introduceVdi(xapi, target.arity, await introduction(step.vdi, target)));
    } else {
      await unlessGone(() => carryOut(xapi, step, refs));
    }
  }
}

async function carryOut(
  xapi: Xapi,
  step: Exclude<ReconcileStep, { kind: 'introduce' }>,
  refs: ReadonlyMap<string, string>,
): Promise<void> {
  if (step.kind === 'forget') return forgetVdi(xapi, step.ref);
  if (step.kind === 'link-snapshot') {
    const [snapshot, snapshotOf] = [refs.get(step.snapshot), refs.get(step.of)];
    if (snapshot !== undefined && snapshotOf !== undefined) await changeVdi(xapi, snapshot, { snapshotOf });
    return;
  }
  const { cbtEnabled, ...fields } = step.fields;
  await changeVdi(xapi, step.ref, fields);
  for (const [key, value] of Object.entries(step.set)) await setMapKey(xapi, 'VDI.sm_config', step.ref, key, value);
  for (const key of step.remove) await removeMapKey(xapi, 'VDI.sm_config', step.ref, key);
  if (cbtEnabled !== undefined) await changeVdi(xapi, step.ref, { cbtEnabled });
}

async function unlessGone(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

async function introduction(vdi: StorageVdi, { srRef, poolRef }: ReconcileTarget): Promise<VdiIntroduction> {
  const { smConfig = {}, smConfigIsWhole: _whole, keepKeys: _keep, snapshotOf: _link, metadataOfPool, ...plain } = vdi;
  const pool = metadataOfPool === undefined ? undefined : await poolRef?.(metadataOfPool);
  return {
    ...plain,
    sr: srRef,
    smConfig: Object.fromEntries(
      Object.entries(smConfig).filter((entry): entry is [string, string] => entry[1] !== null),
    ),
    ...(pool === undefined ? {} : { metadataOfPool: pool }),
  };
}
