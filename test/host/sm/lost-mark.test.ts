import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapOf } from '../../../lab/xapi-double/database.ts';
import { toolstackStarts } from '../../../lab/xapi-double/toolstack.ts';
import { DiskInUse, UNUSED } from './disk-in-use.ts';

// A xapi that starts anew while a disk comes into use takes the mark away: it does not remember that it is in use.

let it: DiskInUse;
beforeAll(async () => {
  it = await DiskInUse.make();
});
afterAll(() => it[Symbol.asyncDispose]());

/** `work`, and once the disk's volumes are active here xapi starts, and marks are added. How it ended. */
async function withRestart(work: Promise<unknown>, marks: Readonly<Record<string, string>>): Promise<string> {
  const { double } = it.made.pool;
  const call = { isOver: false };
  const restart = (async () => {
    while (!call.isOver) {
      if (it.volumes.on(0).length > 0) {
        toolstackStarts(double, double.master.ref);
        it.leaf.fields['sm_config'] = { ...mapOf(it.leaf, 'sm_config'), ...marks };
        return true;
      }
      await pause(5);
    }
    return false;
  })();
  const outcome = await work.then(
    () => 'activated',
    (error: unknown) => String(error),
  );
  call.isOver = true;
  expect(await restart).toBe(true);
  return outcome;
}

test('the mark is put back, and the disk is in use', async () => {
  expect(await withRestart(it.activate(), {})).toBe('activated');
  expect(await it.use()).toMatchObject({
    marks: ['here'],
    active: ['ancestor', 'leaf'],
    tapdisk: [expect.any(String)],
  });
  await it.deactivate();
  expect(await it.use()).toEqual(UNUSED);
});

test('a disk that is in use is not answered as failed where its key "activating" stays; deactivating takes it away', async () => {
  const { double } = it.made.pool;
  double.refused.add('VDI.remove_from_sm_config');
  try {
    await it.activate();
  } finally {
    double.refused.clear();
  }
  expect(mapOf(it.leaf, 'sm_config')).toHaveProperty('activating');
  expect(await it.use()).toMatchObject({ active: ['ancestor', 'leaf'], tapdisk: [expect.any(String)] });
  await it.deactivate();
  expect(mapOf(it.leaf, 'sm_config')).not.toHaveProperty('activating');
  expect(await it.use()).toEqual(UNUSED);
});

test('where another host has marked it meanwhile, nothing of it stays in use here', async () => {
  const there = `host_${it.made.pool.double.hosts[1]?.ref ?? ''}`;
  expect(await withRestart(it.activate(), { [there]: 'RW' })).toMatch(/taken by another host/);
  expect(await it.use()).toMatchObject({ marks: ['there'], active: [], counts: [], tapdisk: [], names: [] });
  const { [there]: _mark, ...rest } = mapOf(it.leaf, 'sm_config');
  it.leaf.fields['sm_config'] = rest;
});
