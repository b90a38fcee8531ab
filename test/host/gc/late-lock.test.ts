import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type VdiUuid, vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { makeLinks } from './chain-in-pool.ts';
import { LeafInPool } from './leaf-in-pool.ts';

// A cluster that stands still for longer than the SR's lock is held leaves the collector a late writer, for which every
// command of the host waits: it ends then, and begins nothing else.

let it: LeafInPool;
beforeAll(async () => {
  it = await LeafInPool.make();
});
afterAll(() => it[Symbol.asyncDispose]());

/** Longer than the lock is held (src/gc/sr-world.ts). */
const STANDS_STILL_MS = 32_000;

test('what takes longer than the lock of the SR is held is the last thing that a collector does', async () => {
  const { sr } = it.pool;
  for (const { name } of (await sr.report()).lvs) if (name !== 'MGT') await sr.lvm.removeLv(name);
  const pairs = [0, 1].map(() => ({ parent: vdiUuid(randomUUID()), leaf: vdiUuid(randomUUID()) }));
  const shown = new Map<VdiUuid, Buffer>();
  for (const { parent, leaf } of pairs) {
    const links = await makeLinks(sr, [
      { uuid: parent, hidden: true, writes: [[0, 4096, 1]], lvBytes: 8 * MiB },
      { uuid: leaf, hidden: false, parent, writes: [[MiB, 4096, 2]], lvBytes: 16 * MiB },
    ]);
    for (const [uuid, content] of links) shown.set(uuid, content);
  }
  await it.scan();
  const isHeld = ({ leaf }: { readonly leaf: VdiUuid }): boolean => Object.hasOwn(it.smConfig(leaf), 'paused');

  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', RBDSR_ROOT: it.pool.root(0) };
  const collector = spawn(process.execPath, [join(it.pool.product, 'cli.cjs'), 'gc', it.srUuid], { env });
  let output = '';
  for (const stream of [collector.stdout, collector.stderr])
    stream.on('data', (chunk: Buffer) => void (output += chunk.toString()));
  const closed = once(collector, 'close');
  await expect.poll(() => pairs.some(isHeld), { timeout: 30_000, interval: 2 }).toBe(true);
  collector.kill('SIGSTOP');
  await sleep(STANDS_STILL_MS);
  collector.kill('SIGCONT');
  await closed;

  expect(output.match(/^merge the leaf/gm), output).toHaveLength(1);
  await it.scan();
  expect(await it.journals()).toEqual([]);
  expect(pairs.some(isHeld)).toBe(false);
  await it.gc();
  const nodes = await it.nodes();
  expect(nodes.map(({ lvName }) => lvName).toSorted()).toEqual(pairs.map(({ leaf }) => `VHD-${leaf}`).toSorted());
  for (const { leaf } of pairs) await it.readsAs({ ground: leaf, parent: leaf, other: leaf, leaf, shown }, nodes);
});
