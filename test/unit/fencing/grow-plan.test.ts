import { describe, expect, test } from 'vitest';
import { GiB, MiB } from '../../../src/base/units.ts';
import { type GrowFacts, growthInWords, planGrowth } from '../../../src/growing/grow-plan.ts';
import { unawareOf } from '../../../src/growing/seen-sizes.ts';
import { failureOf } from '../../support/expect-error.ts';

const master = { ref: 'a', name: 'alpha', isMaster: true };
const slave = { ref: 'b', name: 'beta', isMaster: false };
const FACTS: GrowFacts = {
  sr: 'sr',
  name: 'disks',
  spec: { pool: 'rbd', image: 'disks' },
  imageBytes: GiB,
  objectBytes: 4 * MiB,
  srBytes: GiB - 4 * MiB,
  wantedBytes: 2 * GiB - 1,
  plugged: [master, slave],
};

describe('what growing an SR does', () => {
  test('the image to a whole MiB, then each host, then the volume group', () => {
    const plan = planGrowth(FACTS);
    expect(plan.sizeBytes).toBe(2 * GiB);
    expect(growthInWords(plan)[1]).toContain('grows from 1 GiB to 2 GiB');
    expect(growthInWords(plan)[2]).toContain('alpha, beta');
  });

  test('an image that has the size already is told once more: a growth that was cut short', () => {
    expect(growthInWords(planGrowth({ ...FACTS, imageBytes: 2 * GiB }))[1]).toContain('has 2 GiB already');
  });

  test.each([
    ['smaller', { wantedBytes: GiB - MiB }],
    ['less than LVM is told of', { wantedBytes: GiB + 100 * MiB }],
    ['what it has', { wantedBytes: GiB }],
  ])('%s is refused', async (_what, changes) => {
    await failureOf('invalid-argument', async () => planGrowth({ ...FACTS, ...changes }));
  });

  test('without the master, who alone grows the volume group, it is refused', async () => {
    await failureOf('sr-unavailable', async () => planGrowth({ ...FACTS, plugged: [slave] }));
  });

  test('hosts that see another size, or tell none, are named', () => {
    const seen = [
      { host: master, sizeBytes: 2 * GiB },
      { host: slave, sizeBytes: GiB },
      { host: { ...slave, name: 'gamma' }, problem: 'it is off' },
    ];
    expect(unawareOf(seen, 2 * GiB)).toEqual(['beta: its kernel still sees 1 GiB', 'gamma: it is off']);
  });
});
