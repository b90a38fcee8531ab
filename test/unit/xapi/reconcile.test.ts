import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { planReconciliation, reconcile } from '../../../src/xapi/reconcile.ts';
import type { StorageVdi } from '../../../src/xapi/storage-vdi.ts';
import { NEVER, NULL_REF } from '../../../src/xapi/values.ts';
import { addMapKey } from '../../../src/xapi/map-keys.ts';
import { introduceVdi, type VdiRecord, vdisOfSr } from '../../../src/xapi/vdi.ts';
import { startPool } from './fixture.ts';

const [A, B, C] = ['a', 'b', 'c'].map((letter) => `${letter.repeat(8)}-1111-2222-3333-444444444444`) as [
  string,
  string,
  string,
];

function storage(uuid: string, o: Partial<StorageVdi> = {}): StorageVdi {
  return {
    uuid,
    virtualSize: 100,
    physicalUtilisation: 50,
    readOnly: false,
    managed: true,
    smConfig: { vdi_type: 'vhd', 'vhd-parent': null },
    ...o,
  };
}

function record(uuid: string, o: Partial<VdiRecord> = {}): VdiRecord {
  return {
    ref: `ref-${uuid[0]}`,
    uuid,
    location: uuid,
    sr: 'sr',
    nameLabel: '',
    nameDescription: '',
    type: 'user',
    readOnly: false,
    sharable: false,
    managed: true,
    smConfig: { vdi_type: 'vhd' },
    otherConfig: {},
    virtualSize: 100,
    physicalUtilisation: 50,
    isASnapshot: false,
    snapshotTime: NEVER,
    snapshotOf: NULL_REF,
    metadataOfPool: NULL_REF,
    cbtEnabled: false,
    onBoot: 'persist',
    allowCaching: false,
    ...o,
  };
}

const nothing = { fields: {}, set: {}, remove: [] };

test('in sync is an empty plan', () => {
  expect(planReconciliation([record(A)], [storage(A)])).toEqual([]);
});

test('new is introduced, gone is forgotten, changed is updated, in this order', () => {
  const plan = planReconciliation([record(A), record(B)], [storage(B, { virtualSize: 200 }), storage(C)]);
  expect(plan).toEqual([
    { kind: 'introduce', vdi: storage(C) },
    { kind: 'forget', ref: 'ref-a', uuid: A },
    { kind: 'update', ref: 'ref-b', uuid: B, ...nothing, fields: { virtualSize: 200 } },
  ]);
});

test.each([
  ['size', { virtualSize: 1 }, { fields: { virtualSize: 1 } }],
  ['utilisation', { physicalUtilisation: 1 }, { fields: { physicalUtilisation: 1 } }],
  ['read only', { readOnly: true }, { fields: { readOnly: true } }],
  ['changed block tracking', { cbtEnabled: true }, { fields: { cbtEnabled: true } }],
  ['a key', { smConfig: { vdi_type: 'aio', 'vhd-parent': B } }, { set: { vdi_type: 'aio', 'vhd-parent': B } }],
])('a difference in %s is an update of that alone', (_what, difference, expected) => {
  expect(planReconciliation([record(A)], [storage(A, difference)])).toEqual([
    { kind: 'update', ref: 'ref-a', uuid: A, ...nothing, ...expected },
  ]);
});

test.each([
  ['a name', { nameLabel: 'theirs', nameDescription: 'theirs' }],
  ['managed', { managed: false }],
  ['the type', { type: 'system' }],
  ['an unknown key', { smConfig: { vdi_type: 'vhd', base_mirror: 'x' } }],
])('%s belongs to xapi once the record exists', (_what, difference) => {
  expect(planReconciliation([record(A, difference)], [storage(A)])).toEqual([]);
});

test('a key that must not be there is removed', () => {
  const was = record(A, { smConfig: { vdi_type: 'vhd', 'vhd-parent': B } });
  expect(planReconciliation([was], [storage(A)])).toEqual([
    { kind: 'update', ref: 'ref-a', uuid: A, ...nothing, remove: ['vhd-parent'] },
  ]);
});

const theirs = {
  'host_OpaqueRef:1': 'RW',
  paused: 'true',
  'vhd-blocks': 'x',
  relinking: 'True',
  activating: 'True',
  key_hash: 'h',
};

test('a whole sm_config removes what it does not name, but never what operations in progress and the keep list need', () => {
  const was = record(A, { smConfig: { ...theirs, vdi_type: 'vhd', stale: '1' } });
  expect(planReconciliation([was], [storage(A, { smConfigIsWhole: true })])).toEqual([
    { kind: 'update', ref: 'ref-a', uuid: A, ...nothing, remove: ['stale'] },
  ]);
  const [update] = planReconciliation([was], [storage(A, { smConfigIsWhole: true, keepKeys: ['stale'] })]);
  expect(update).toMatchObject({ remove: ['key_hash'] });
});

test.each(Object.keys(theirs))('%s is not touched even when the storage names it', (key) => {
  const smConfig = { vdi_type: 'vhd', [key]: null };
  expect(
    planReconciliation([record(A, { smConfig: { vdi_type: 'vhd', [key]: 'x' } })], [storage(A, { smConfig })]),
  ).toEqual([]);
  expect(planReconciliation([record(A)], [storage(A, { smConfig: { vdi_type: 'vhd', [key]: 'x' } })])).toEqual([]);
});

test('a snapshot is linked to its source while that is there', () => {
  const snapshot = storage(B, { isASnapshot: true, snapshotOf: A });
  expect(planReconciliation([], [snapshot, storage(A)]).at(-1)).toEqual({ kind: 'link-snapshot', snapshot: B, of: A });
  expect(planReconciliation([], [snapshot])).toEqual([{ kind: 'introduce', vdi: snapshot }]);
  expect(planReconciliation([record(A), record(B)], [storage(A), snapshot])).toEqual([
    { kind: 'link-snapshot', snapshot: B, of: A },
  ]);
  expect(planReconciliation([record(A), record(B, { snapshotOf: 'ref-a' })], [storage(A), snapshot])).toEqual([]);
});

const vdi = fc.record({
  uuid: fc.constantFrom(A, B, C),
  virtualSize: fc.integer({ min: 0, max: 3 }),
  physicalUtilisation: fc.integer({ min: 0, max: 3 }),
  readOnly: fc.boolean(),
  managed: fc.boolean(),
  nameLabel: fc.constantFrom('', 'ü <&>'),
  smConfig: fc.dictionary(fc.constantFrom('vdi_type', 'vhd-parent', 'paused', 'x'), fc.constantFrom('1', '2', null)),
  isASnapshot: fc.boolean(),
  snapshotOf: fc.constantFrom(A, B, C),
  snapshotTime: fc.constantFrom('', '20261124T08:42:56Z'),
  cbtEnabled: fc.boolean(),
});
const table = fc.uniqueArray(vdi, { selector: ({ uuid }) => uuid });

test('carried out, a plan leaves nothing to do', async () => {
  const { xapi, sr, double } = await startPool();
  await fc.assert(
    fc.asyncProperty(fc.array(table, { minLength: 1, maxLength: 3 }), async (tables) => {
      for (const wanted of tables) {
        const records = await vdisOfSr(xapi, sr);
        await reconcile(xapi, planReconciliation(records, wanted), { srRef: sr, arity: 19, records });
        const after = await vdisOfSr(xapi, sr);
        expect(planReconciliation(after, wanted)).toEqual([]);
        expect(after.map(({ uuid }) => uuid).sort()).toEqual(wanted.map(({ uuid }) => uuid).sort());
      }
    }),
    { numRuns: 60 },
  );
  expect(double.offences).toEqual([]);
});

test('carried out, an update leaves the keys of others alone', async () => {
  const { xapi, sr, double } = await startPool();
  const ref = await introduceVdi(xapi, 19, {
    uuid: A,
    sr,
    virtualSize: 100,
    physicalUtilisation: 50,
    smConfig: { ...theirs, vdi_type: 'aio' },
  });
  await addMapKey(xapi, 'VDI.sm_config', ref, 'stale', '1');
  const records = await vdisOfSr(xapi, sr);
  const wanted = storage(A, { smConfig: { vdi_type: 'vhd', 'vhd-parent': B }, smConfigIsWhole: true });
  await reconcile(xapi, planReconciliation(records, [wanted]), { srRef: sr, arity: 19, records });
  expect((await vdisOfSr(xapi, sr))[0]?.smConfig).toEqual({ ...theirs, vdi_type: 'vhd', 'vhd-parent': B });
  expect(double.offences).toEqual([]);
});

test('a record that vanishes meanwhile is passed over', async () => {
  const { xapi, sr, double } = await startPool();
  for (const uuid of [A, B]) await introduceVdi(xapi, 19, { uuid, sr, virtualSize: 1, physicalUtilisation: 1 });
  const records = await vdisOfSr(xapi, sr);
  const plan = planReconciliation(records, [storage(A), storage(C)]);
  for (const { ref } of double.db.all('VDI')) double.db.destroy('VDI', ref);
  await reconcile(xapi, plan, { srRef: sr, arity: 19, records });
  expect((await vdisOfSr(xapi, sr)).map(({ uuid }) => uuid)).toEqual([C]);
});
