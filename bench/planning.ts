import { type VdiUuid, vdiUuid } from '../src/base/ids.ts';
import { MiB } from '../src/base/units.ts';
import { Forest } from '../src/gc/forest.ts';
import { planCollection } from '../src/gc/plan.ts';
import type { VdiNode } from '../src/lvhd/lv-table.ts';
import { type Bench, median } from './bench.ts';

const DISKS = 10_000;
/** Trees of so many: chains of thirty, with a snapshot at each level, and one in use. */
const IN_TREE = 60;
const ROUNDS = 9;

/** What the collector needs to decide what to do in a large SR, once its headers are read. */
export const planningBench: Bench = {
  name: 'planning',
  title: 'The plan of a collector',
  async run() {
    const nodes = Array.from({ length: DISKS }, (_, index) => nodeOf(index));
    const activeOn = new Map(nodes.filter((_, index) => index % IN_TREE === IN_TREE - 1).map(inUse));
    const room = { parentLvSizeBytes: 8 * MiB, growsByBytes: 0, neededBytes: 4 * MiB, copiesBytes: 0 };
    const samples: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const started = performance.now();
      const known = { nodes, journals: [], activeOn, kept: new Map(), notFolded: new Map(), freeBytes: 1000 * MiB };
      const { steps } = planCollection(new Forest(known), () => room);
      samples.push(performance.now() - started);
      if (steps.length === 0) throw new Error('nothing is planned');
    }
    const aim = { of: 'value', bound: 'at most', limit: 1000 } as const;
    return [{ metric: `${DISKS} disks`, value: median(samples), unit: 'ms', aim }];
  },
};

function inUse({ uuid }: VdiNode): readonly [string, readonly string[]] {
  return [uuid, ['host']];
}

/** Even ones are the chain of their tree, and each odd one hangs beside the next of them; of some only one is left. */
function nodeOf(index: number): VdiNode {
  const place = index % IN_TREE;
  const isLast = place === IN_TREE - 1;
  const parent = place === 0 ? undefined : place % 2 === 0 ? index - 2 : index - 1;
  const hidden = place % 2 === 0 || (place % 6 === 3 && !isLast);
  return {
    uuid: uuidOf(index),
    kind: 'vhd',
    lvName: `VHD-${uuidOf(index)}`,
    lvSizeBytes: 8 * MiB,
    virtualSizeBytes: 8 * MiB,
    hidden,
    ...(parent === undefined ? {} : { parentUuid: uuidOf(parent) }),
    lvReadOnly: false,
    active: false,
    open: false,
    old: false,
  };
}

function uuidOf(index: number): VdiUuid {
  return vdiUuid(`00000000-0000-4000-8000-${String(index).padStart(12, '0')}`);
}
