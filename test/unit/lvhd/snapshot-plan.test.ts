import { describe, expect, test } from 'vitest';
import { type VdiUuid, vdiUuid } from '../../../src/base/ids.ts';
import { GiB, MiB } from '../../../src/base/units.ts';
import type { DrivenVdi } from '../../../src/lvhd/lv-table.ts';
import { lvName, type VdiKind } from '../../../src/lvhd/names.ts';
import { LONGEST_CHAIN, planSnapshot, type SnapshotWish } from '../../../src/lvhd/ops/snapshot-plan.ts';
import { fullVhdLvSize } from '../../../src/lvhd/sizes.ts';
import type { VgReport } from '../../../src/lvm/report.ts';
import { failureOf } from '../../support/expect-error.ts';

const uuid = (digit: number): VdiUuid => vdiUuid(`${digit}0000000-1111-4222-8333-444455556666`);
const SOURCE = uuid(1);
const BASE = uuid(2);
const COPY = uuid(3);
const PARENT = uuid(4);
const ROOT = uuid(5);
const SIZE = 10 * GiB;
const FULL = fullVhdLvSize(SIZE);

function node(vdi: VdiUuid, kind: VdiKind = 'vhd', more: Partial<DrivenVdi> = {}): DrivenVdi {
  return {
    uuid: vdi,
    kind,
    lvName: lvName(kind, vdi),
    lvSizeBytes: kind === 'aio' ? SIZE : FULL,
    virtualSizeBytes: SIZE,
    hidden: false,
    lvReadOnly: false,
    active: false,
    open: false,
    old: false,
    ...more,
  };
}

const report = (freeBytes: number): VgReport => ({
  name: 'VG_XenStorage-sr',
  uuid: '',
  sizeBytes: 100 * GiB,
  freeBytes,
  extentSizeBytes: 4 * MiB,
  partial: false,
  pvs: [],
  lvs: [],
});

const wish: SnapshotWish = {
  source: node(SOURCE),
  ancestors: [],
  base: BASE,
  copy: COPY,
  isSnapshot: true,
  allocation: 'thick',
  ofSnapshot: false,
  isWritten: false,
  physicalSizeBytes: 1 * GiB + 512,
  empty: [false],
};

/** Sizes in MiB: the base, the leaf, the copy; and the least room that it goes with. */
function sizes(more: Partial<SnapshotWish>): readonly (number | undefined)[] {
  const made = { ...wish, ...more };
  const plan = planSnapshot(made, report(100 * GiB));
  const mib = (bytes: number | undefined): number | undefined => (bytes === undefined ? undefined : bytes / MiB);
  return [mib(plan.base?.lvSizeBytes), mib(plan.base?.leafLvSizeBytes), mib(plan.copy?.lvSizeBytes)];
}

/** The least free MiB with which it is planned. */
function room(more: Partial<SnapshotWish>): number {
  let [least, most] = [0, 100 * 1024];
  while (least < most) {
    const middle = Math.floor((least + most) / 2 / 4) * 4;
    try {
      planSnapshot({ ...wish, ...more }, report(middle * MiB));
      most = middle;
    } catch {
      least = middle + 4;
    }
  }
  return least;
}

const F = FULL / MiB;
const D = 1028;
const detachedThin = { allocation: 'thin', source: node(SOURCE, 'vhd', { lvSizeBytes: D * MiB }) } as const;

// As sm `LVHDVDI._snapshot`: leaf + copy + two journals - what the base gives back.
test.each([
  ['thick, snapshot', {}, [D, F, 8], F + 8 + 8 - (F - D)],
  ['thick, clone', { isSnapshot: false }, [D, F, F], F + F + 8 - (F - D)],
  ['thick, snapshot, in use', { isWritten: true }, [D, F, 8], F + 8 + 8 - (F - D)],
  ['thick, snapshot of a snapshot', { ofSnapshot: true }, [D, 8, 8], 0],
  ['thick, only a base', { copy: undefined }, [D, F, undefined], F + 8 - (F - D)],
  ['thin, snapshot', detachedThin, [D, 8, 8], 24],
  ['thin, clone', { ...detachedThin, isSnapshot: false }, [D, 8, 8], 24],
  ['thin, snapshot, in use', { allocation: 'thin', isWritten: true }, [D, F, 8], F + 8 + 8 - (F - D)],
  ['full to the end', { physicalSizeBytes: FULL }, [F, F, 8], F + 16],
  ['raw', { source: node(SOURCE, 'aio') }, [SIZE / MiB, F, 8], F + 16],
] as const)('%s: sizes and room', (_title, more, expected, free) => {
  expect(sizes(more as Partial<SnapshotWish>)).toEqual(expected);
  expect(room(more as Partial<SnapshotWish>)).toBe(Math.max(0, free));
});

describe('what the new disk hangs on', () => {
  const parent = node(PARENT, 'vhd', { hidden: true });
  const root = node(ROOT, 'vhd', { hidden: true });
  const on = (more: Partial<SnapshotWish>): readonly [boolean, string] => {
    const plan = planSnapshot({ ...wish, ...more }, report(100 * GiB));
    return [plan.base !== undefined, plan.parent.lvName];
  };

  test.each([
    ['a disk that holds something', { ancestors: [parent], empty: [false] }, [true, lvName('vhd', BASE)]],
    ['an empty child: its parent', { ancestors: [parent, root], empty: [true, false] }, [false, parent.lvName]],
    [
      'an empty child of an empty child',
      { ancestors: [parent, root], empty: [true, true, false] },
      [false, root.lvName],
    ],
    [
      'down to a root, even an empty one',
      { ancestors: [parent, root], empty: [true, true, true] },
      [false, root.lvName],
    ],
    ['an empty root becomes a base', { empty: [true] }, [true, lvName('vhd', BASE)]],
    [
      'an empty child of a raw disk',
      { ancestors: [node(ROOT, 'aio')], empty: [true, false] },
      [false, lvName('aio', ROOT)],
    ],
    [
      'an empty child that a guest may write to',
      { ancestors: [parent], empty: [true, false], isWritten: true },
      [true, lvName('vhd', BASE)],
    ],
  ] as const)('%s', (_title, more, expected) => {
    expect(on(more as Partial<SnapshotWish>)).toEqual(expected);
  });
});

test('a chain of 30 is not made longer, but an empty leaf of it has siblings', async () => {
  const ancestors = Array.from({ length: LONGEST_CHAIN - 1 }, () => node(PARENT, 'vhd', { hidden: true }));
  await failureOf('chain-too-long', () => planSnapshot({ ...wish, ancestors }, report(100 * GiB)));
  expect(planSnapshot({ ...wish, ancestors: ancestors.slice(1) }, report(100 * GiB)).base).toBeDefined();
  expect(planSnapshot({ ...wish, ancestors, empty: [true, false] }, report(100 * GiB)).base).toBeUndefined();
});

test('a base is no disk to take a snapshot of', async () => {
  await failureOf('vdi-snapshot', () =>
    planSnapshot({ ...wish, source: node(SOURCE, 'vhd', { hidden: true }) }, report(0)),
  );
});
