import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Mender } from '../../../src/base/steps.ts';
import { MiB } from '../../../src/base/units.ts';
import { createJournal } from '../../../src/lvhd/journal/journals.ts';
import { setHidden } from '../../../src/lvhd/ops/new-base.ts';
import { expectAllWalked, killsOf, type Walk } from '../../support/every-step.ts';
import { type LeafChain, LeafInPool } from './leaf-in-pool.ts';
import { type StockEnd, stockEnd } from './stock-leaf-oracle.ts';

// Every step of the merging of a leaf, of its undoing and of its finishing: the collector, or the driver, is killed
// after it, what there is then is what the step says, and each command that is to mend that does. What stock's recovery
// would make of it is judged beside it: the disk is never lost.

let it: LeafInPool;
beforeAll(async () => {
  it = await LeafInPool.make({ allocation: 'thick' });
});
afterAll(() => it[Symbol.asyncDispose]());

let made: LeafChain;
beforeEach(async () => {
  made = await it.chain();
});

const FULL = 16 * MiB;

interface Remains {
  readonly journals: readonly string[];
  /** Volumes, but for those of the other disk and of what it hangs on. */
  readonly volumes: Readonly<Record<string, 'hidden' | 'shown'>>;
  readonly held: boolean;
  readonly parentBytes: number | undefined;
  readonly leafBytes: number | undefined;
}

async function remains(): Promise<Remains> {
  const { leaf, parent } = made;
  const names: Readonly<Record<string, string>> = {
    [`VHD-${leaf}`]: 'leaf',
    [`VHD-OLD_${leaf}`]: 'aside',
    [`VHD-${parent}`]: 'parent',
  };
  const nodes = (await it.nodes()).filter(({ lvName }) => lvName in names);
  const sizeOf = (name: string): number | undefined =>
    nodes.find(({ lvName }) => lvName === `VHD-${name}`)?.lvSizeBytes;
  return {
    journals: await it.journals(),
    volumes: Object.fromEntries(nodes.map(({ lvName, hidden }) => [names[lvName], hidden ? 'hidden' : 'shown'])),
    held: Object.hasOwn(it.smConfig(leaf), 'paused'),
    parentBytes: sizeOf(parent),
    leafBytes: sizeOf(leaf),
  };
}

type Look = () => Promise<void>;

function is(expected: Partial<Remains>, stock: StockEnd): Look {
  return async () => {
    const found = await remains();
    expect(found).toMatchObject(expected);
    expect(found.volumes).toEqual(expected.volumes);
    const names = (await it.pool.sr.report()).lvs.map(({ name }) => name);
    expect(stockEnd(names, made, found.journals.includes('leaf'))).toBe(stock);
    // Under whichever name there is the whole of it.
    const nodes = await it.nodes();
    const parts = Object.keys(found.volumes);
    if (parts.includes('leaf')) await it.readsAs(made, nodes, made.leaf);
    if (!parts.includes('leaf') && !parts.includes('aside')) await it.readsAs(made, nodes, made.parent);
  };
}

const PAIR = { leaf: 'shown', parent: 'hidden' } as const;
const noted = { journals: ['leaf'], held: true } as const;
const merged = { volumes: { leaf: 'shown' }, journals: [], held: false } as const;

const looks: Readonly<Record<string, Look>> = {
  'leaf-held': is({ volumes: PAIR, journals: [], held: true, parentBytes: 8 * MiB }, 'nothing'),
  'fold-noted': is({ ...noted, volumes: PAIR, parentBytes: 8 * MiB }, 'undone'),
  'fold-grown': is({ ...noted, volumes: PAIR, parentBytes: 12 * MiB }, 'undone'),
  'fold-copied': is({ ...noted, volumes: PAIR, parentBytes: 12 * MiB }, 'undone'),
  'fold-shown': is({ ...noted, volumes: { leaf: 'shown', parent: 'shown' } }, 'undone'),
  // Stock stops there, by name, and nothing is lost.
  'fold-removed': is({ ...noted, volumes: { parent: 'shown' } }, 'refused'),
  'taken-over': is({ journals: ['leaf'], volumes: { leaf: 'shown' }, leafBytes: 12 * MiB }, 'finished'),
  'taken-over-resized': is({ journals: ['leaf'], volumes: { leaf: 'shown' }, leafBytes: FULL }, 'finished'),
  'folded-held': is({ ...merged, held: true, leafBytes: FULL }, 'nothing'),
  folded: async () => {
    await is(merged, 'nothing')();
    expect(await it.listed()).toContain(made.parent);
  },
  'parent-unlisted': async () => {
    await is(merged, 'nothing')();
    expect([(await it.listed()).includes(made.parent), it.record(made.parent) === undefined]).toEqual([false, false]);
  },
  'parent-forgotten': async () => {
    await is(merged, 'nothing')();
    expect(it.record(made.parent)).toBeUndefined();
    expect(it.smConfig(made.leaf)['vhd-parent']).toBe(made.parent);
  },
  'leaf-aside': is({ journals: ['leaf'], volumes: { aside: 'hidden', parent: 'shown' } }, 'undone'),
  'leaf-named': is({ journals: ['leaf'], volumes: { leaf: 'hidden', parent: 'shown' } }, 'undone'),
  'leaf-shown': is({ journals: ['leaf'], volumes: { leaf: 'shown', parent: 'shown' } }, 'undone'),
  'parent-hidden': is({ journals: ['leaf'], volumes: PAIR, parentBytes: 12 * MiB }, 'undone'),
  'parent-shrunk': is({ journals: ['leaf'], volumes: PAIR, parentBytes: 8 * MiB, leafBytes: 12 * MiB }, 'undone'),
  'leaf-resized': is({ journals: ['leaf'], volumes: PAIR, leafBytes: FULL }, 'undone'),
};

const fold = async (point: string): Promise<void> => {
  const end = await it.gc([], { RBDSR_FAULT: point });
  expect(end.signal, end.output).toBe('SIGKILL');
};

/** What stock's collector has done when it is about to remove its journal, of a leaf that it had shrunk. */
async function asStockLeavesIt(): Promise<void> {
  made = await it.chain({ leafBytes: 12 * MiB });
  const { sr } = it.pool;
  const { leaf, parent } = made;
  const report = await sr.report();
  await createJournal(sr.lvm, report, sr.openLv, { type: 'leaf', id: leaf, value: parent });
  await sr.lvm.setPermission(`VHD-${parent}`, 'rw');
  await sr.lvm.growLv(`VHD-${parent}`, 12 * MiB, report);
  const grown = await sr.report();
  await setHidden(sr, grown, { kind: 'vhd', lvName: `VHD-${parent}` }, false);
  await setHidden(sr, grown, { kind: 'vhd', lvName: `VHD-${leaf}` }, true);
  await sr.lvm.renameLv(`VHD-${leaf}`, `VHD-OLD_${leaf}`);
  await sr.lvm.renameLv(`VHD-${parent}`, `VHD-${leaf}`);
}

const scanKilled = (point: string): Promise<void> => it.killedAt(point, () => it.scan());
const walks: Readonly<Record<string, readonly Walk[]>> = {
  'merging a leaf': [{ call: () => it.gc(), killed: fold }],
  'undoing the merging of a leaf': [{ before: asStockLeavesIt, call: () => it.scan(), killed: scanKilled }],
  'finishing the merging of a leaf': [
    { before: () => fold('fold.removed'), call: () => it.scan(), killed: scanKilled },
  ],
};

const menders: Readonly<Partial<Record<Mender, (walk: Walk) => Promise<unknown>>>> = {
  again: (walk) => walk.call(0),
  sr_scan: () => it.scan(),
};

const TEST = 'test/host/gc/every-step-of-leaf.test.ts';

test.each(killsOf(TEST, walks))(
  '%s killed at %s, mended by %s (%i)',
  { timeout: 120_000 },
  async (_title, point, mender, _index, left, walk) => {
    await walk.before?.(0);
    await walk.killed?.(point);
    await looks[left]?.();
    await menders[mender]?.(walk);
    await it.readsAs(made, await it.nodes());
    expect(await it.journals()).toEqual([]);
    if (mender === 'sr_scan') expect(it.smConfig(made.leaf)).not.toHaveProperty('paused');
    const end = await it.gc();
    expect([end.code, end.output], end.output).toEqual([0, expect.stringContaining(' 0 not.')]);
    await it.scan();
    await it.isFolded(made, FULL);
  },
);

test.each(['inflate.journal-created', 'inflate.resized', 'inflate.zeroed', 'inflate.footer-written'])(
  'killed while the parent grows, at %s',
  { timeout: 120_000 },
  async (point) => {
    await fold(point);
    await it.readsAs(made, await it.nodes());
    await it.scan();
    expect(await remains()).toMatchObject({ volumes: PAIR, journals: [], held: false, parentBytes: 8 * MiB });
    await it.gc();
    await it.isFolded(made, FULL);
  },
);

test('every protocol has a walk, every step that is mended a command for it, every state a look, and none more', () => {
  expectAllWalked(TEST, { walks, menders, looks });
});
