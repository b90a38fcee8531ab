import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { MiB } from '../../../src/base/units.ts';
import { decodeDump } from '../../../src/ceph/control/native/cluster-dump.ts';
import { namesOfParent, readParent } from '../../../src/ceph/control/native/image-parent.ts';
import { listNamespaces } from '../../../src/ceph/control/native/list-namespaces.ts';
import { PoolObjects } from '../../../src/ceph/control/native/pool-objects.ts';
import { decodeFullness, decodeUsage } from '../../../src/ceph/control/pool-fullness.ts';
import type { Operation, OperationReply } from '../../../src/ceph/wire/osd-messages.ts';
import { failureOf } from '../../support/expect-error.ts';
import { changed, endsWell, inUse, random, SEEDS } from './hostile.ts';

// What an OSD and a monitor of 16.2.15 really answered (test/fixtures/ceph-wire/facts.json) about namespaces, parents
// and the fullness of pools, changed in many ways: each ends as an answer or as an error of ours.

interface RecordedFacts {
  /** By the method of class rbd; of a clone whose parent is in the trash. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly dump: string;
  readonly df: string;
}

const facts = JSON.parse(
  readFileSync(`${import.meta.dirname}/../../fixtures/ceph-wire/facts.json`, 'utf8'),
) as RecordedFacts;
const soon = (): Deadline => Deadline.after(5000);
const header = { format: 2, header: 'rbd_header.x' } as const;

type Answer = (method: string, asked: number) => { readonly result: number; readonly output: Buffer };

/** Objects of a pool whose OSDs answer so to each method, however often. */
function objectsOf(answer: Answer): PoolObjects {
  let asked = 0;
  const osds = {
    operate: async (
      _place: unknown,
      operations: readonly Operation[],
    ): Promise<OperationReply & { readonly osd: number }> => {
      const each = operations.map((operation) => answer(methodOf(operation), (asked += 1)));
      return { result: each.find(({ result }) => result < 0)?.result ?? 0, each, osd: 0 };
    },
    notify: async () => ({ cookie: 1, missed: [] }),
  };
  const pool = { id: 1, name: 'rbd', groups: 8, isHashKnown: true, isForImages: true, flags: [], takesData: true };
  return new PoolObjects(pool, '', {
    asker: { user: 'xen', cluster: 'it' },
    map: { hindrances: async () => [] },
    osds,
  });
}

function methodOf({ arguments: args, input }: Operation): string {
  return input?.subarray(args[0], (args[0] ?? 0) + (args[1] ?? 0)).toString() ?? '';
}

const recorded = (method: string): Buffer => Buffer.from(facts.outputs[method] ?? '', 'hex');

describe('what was recorded is understood', () => {
  const objects = objectsOf((method) => ({
    result: method === 'dir_get_name' ? -2 : 0,
    output: recorded(method),
  }));

  test('namespaces', async () => {
    expect(await listNamespaces(objects, soon())).toEqual(['a-b', 'ns1', 'ns2']);
  });

  test('a parent in the trash', async () => {
    const parent = await readParent(objects, header, soon());
    expect(parent).toMatchObject({ pool: 1, namespace: '' });
    if (parent === undefined) throw new Error('no parent');
    expect(await namesOfParent(objects, parent, soon())).toEqual({ pool: 'rbd', image: 'gone', snapshot: 's2' });
  });

  test('how full a pool is', () => {
    expect(decodeUsage(facts.df, 'rbd')?.freeBytes).toBeGreaterThan(0);
    expect(decodeFullness(facts.dump, 'rbd')).toEqual([]);
    expect(decodeDump(facts.dump).pools.map(({ name, takesData }) => [name, takesData])).toContainEqual(['rbd', true]);
  });
});

test('before Octopus there is another method for a parent, which knows no namespaces', async () => {
  // ceph src/cls/rbd/cls_rbd.cc, get_parent; not run here.
  const old = Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x61]), Buffer.alloc(16, 1)]);
  const method = (name: string) => (asked: string) =>
    asked === name ? { result: 0, output: old } : { result: -95, output: Buffer.alloc(0) };
  expect(await readParent(objectsOf(method('get_parent')), header, soon())).toMatchObject({ pool: 2, image: 'a' });
  const none = Buffer.concat([Buffer.alloc(8, 0xff), Buffer.alloc(20)]);
  const orphan = objectsOf((asked) => ({ result: asked === 'get_parent' ? 0 : -95, output: none }));
  expect(await readParent(orphan, header, soon())).toBeUndefined();
  // An image without layering has no place for one.
  const without = objectsOf(() => ({ result: -8, output: Buffer.alloc(0) }));
  expect(await readParent(without, header, soon())).toBeUndefined();
});

test('namespaces that come in pages end, and pages that say the same again and again are refused', async () => {
  const page = (names: readonly string[]): Buffer => {
    const parts = names.flatMap((name) => [Buffer.from([name.length, 0, 0, 0]), Buffer.from(name)]);
    const count = Buffer.alloc(4);
    count.writeUInt32LE(names.length);
    return Buffer.concat([count, ...parts]);
  };
  const full = Array.from({ length: 1024 }, (_, at) => `n${String(at).padStart(4, '0')}`);
  const two = objectsOf((_method, asked) => ({ result: 0, output: page(asked === 1 ? full : ['z']) }));
  expect(await listNamespaces(two, soon())).toEqual([...full, 'z']);
  const same = objectsOf(() => ({ result: 0, output: page(full) }));
  await failureOf('control-plane-failed', () => listNamespaces(same, soon()));
});

test.each(SEEDS)('changed by seed %i', async (seed) => {
  const next = random(seed);
  const before = inUse();
  let most = before;
  const hostile = objectsOf((method, asked) => ({
    // A directory ends, whatever its pages say.
    result: asked > 8 || next(8) === 0 ? -2 : 0,
    output: changed(recorded(method), next),
  }));
  for (let turn = 0; turn < 8; turn += 1) {
    await endsWell(() => listNamespaces(hostile, soon()));
    await endsWell(() => readParent(hostile, header, soon()));
    await endsWell(() => namesOfParent(hostile, { pool: 1, namespace: '', image: 'x', snapshot: 1n }, soon()));
    const [dump, df] = [facts.dump, facts.df].map((text) => changed(Buffer.from(text), next).toString());
    await endsWell(() => decodeDump(dump ?? ''));
    await endsWell(() => decodeFullness(dump ?? '', 'rbd'));
    await endsWell(() => decodeUsage(df ?? '', 'rbd'));
    most = Math.max(most, inUse());
  }
  expect(most - before).toBeLessThan(64 * MiB);
});
