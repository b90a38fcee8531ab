import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { LockQueue } from '../../../src/system/locks/lock-queue.ts';
import { takeRecordLock } from '../../../src/system/locks/record-lock.ts';
import { childProgram } from '../../support/lvhd-child.ts';

const folder = mkdtempSync(join(tmpdir(), 'rbdsr-lock-queue-'));
let [lock, queue, said] = ['', '', ''];
let count = 0;
beforeEach(() => {
  count += 1;
  [lock, queue, said] = ['lock', 'queue', 'said'].map((name) => join(folder, `${name}-${count}`)) as [
    string,
    string,
    string,
  ];
  writeFileSync(said, '');
});
afterAll(() => rmSync(folder, { recursive: true }));

const long = { wait: true, deadline: Deadline.after(600_000) } as const;
const takers = (): string[] => readFileSync(said, 'utf8').split('\n').slice(0, -1);

async function until(condition: () => boolean): Promise<void> {
  await Deadline.after(60_000).until(async () => (condition() ? true : undefined), 'the others');
}

/** How many wait. */
function waiting(): number {
  try {
    return readdirSync(queue).length;
  } catch {
    return 0;
  }
}

test('whoever came first is first, and the next one when it has left', () => {
  const line = new LockQueue(queue);
  expect(line.isEmpty()).toBe(true);
  const [one, two] = [line.join(), line.join()];
  expect([one.isFirst(), two.isFirst(), line.isEmpty()]).toEqual([true, false, false]);
  one.leave();
  expect(two.isFirst()).toBe(true);
  two.leave();
  expect([line.isEmpty(), waiting()]).toEqual([true, 0]);
});

test('one that is stopped is passed over until it goes on, and one that is gone is removed', () => {
  const line = new LockQueue(queue);
  const [one, two] = [line.join(), line.join()];
  const name = join(queue, readdirSync(queue).toSorted()[0] ?? '');
  const ago = (seconds: number): Date => new Date(Date.now() - seconds * 1000);
  utimesSync(name, ago(30), ago(30));
  expect([two.isFirst(), one.isFirst(), two.isFirst()]).toEqual([true, true, false]);
  utimesSync(name, ago(100), ago(100));
  expect([two.isFirst(), waiting()]).toEqual([true, 1]);
  expect([one.isFirst(), two.isFirst()]).toEqual([true, false]);
});

test('one that was killed while it waited holds up nobody', async () => {
  using child = await childProgram(`${import.meta.dirname}/lock-queue-child.ts`);
  const held = await takeRecordLock(lock, { ...long, queue });
  const killed = child.run([lock, queue, said, 'killed'], {}, 3000);
  await until(() => waiting() === 1);
  expect(await killed).toMatchObject({ signal: 'SIGKILL' });
  expect([waiting(), new LockQueue(queue).isEmpty(), waiting()]).toEqual([1, true, 0]);
  await held.release();
});

test('processes have the lock in the order in which they came', async () => {
  using child = await childProgram(`${import.meta.dirname}/lock-queue-child.ts`);
  const held = await takeRecordLock(lock, { ...long, queue });
  const order = ['1', '2', '3', '4', '5', '6'];
  const ends: Promise<unknown>[] = [];
  for (const [index, who] of order.entries()) {
    ends.push(child.run([lock, queue, said, who]));
    await until(() => waiting() === index + 1);
  }
  await held.release();
  await Promise.all(ends);
  expect(takers()).toEqual(order);
});

test('one that takes it again and again goes behind one that waits', async () => {
  using child = await childProgram(`${import.meta.dirname}/lock-queue-child.ts`);
  const greedy = child.run([lock, queue, said, 'greedy', '60', '45']);
  await until(() => takers().length > 0);
  const before = takers().length;
  const held = await takeRecordLock(lock, { ...long, queue });
  const turns = takers().length - before;
  await held.release();
  await greedy;
  // One or two on a machine that is not busy; without an order it is all that are left.
  expect(turns).toBeLessThan(30);
});
