import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { srUuid } from '../../../src/base/ids.ts';
import { withSrLock } from '../../../src/sr/work/sr-lock.ts';
import { canTake, OtherHolder, stockHookPasses } from '../../support/stock-locks.ts';

const SR = srUuid('5a1c7f00-1111-4222-8333-0123456789ab');

function place(): { readonly lockDir: string; readonly runDir: string; readonly late: string } {
  const folder = mkdtempSync(join(tmpdir(), 'rbdsr-sr-lock-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const late = `${folder}/run/late/${SR}.lock`;
  for (const name of ['run/late', `lock/${SR}`]) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(late, '');
  return { lockDir: `${folder}/lock`, runDir: `${folder}/run`, late };
}

test.each([
  ['whose deadline has passed', 8000, () => undefined],
  ['that the operator ends', 60_000, () => process.kill(process.pid, 'SIGTERM')],
])('a command %s while its work hangs lets HA have the lock, and is a late writer', async (_what, ms, end) => {
  const { late, ...paths } = place();
  // Only what withSrLock listens to: the runner has listeners of its own.
  const others = process.listeners('SIGTERM');
  process.removeAllListeners('SIGTERM');
  const exit = vi.spyOn(process, 'exit').mockImplementation((() => undefined) as never);
  onTestFinished(() => {
    exit.mockRestore();
    for (const listener of others) process.on('SIGTERM', listener);
  });
  let finish = (_code: number): void => {};
  const hanging = new Promise<number>((resolve) => (finish = resolve));
  const command = withSrLock(paths, SR, Deadline.after(ms), () => hanging);
  expect(await canTake([`${paths.lockDir}/${SR}/sr`], 300)).toBe(false);
  end();
  await vi.waitFor(async () => expect(await stockHookPasses(paths.lockDir, SR, 1000)).toBe(true), 20_000);
  expect(await canTake([late], 500)).toBe(false);
  finish(0);
  expect(await command).toBe(0);
});

test('a command that comes to its end is no late writer', async () => {
  const { late, ...paths } = place();
  expect(await withSrLock(paths, SR, Deadline.after(60_000), async () => 7)).toBe(7);
  expect(await stockHookPasses(paths.lockDir, SR, 2000)).toBe(true);
  expect(await canTake([late], 2000)).toBe(true);
});

test('nor does it begin beside one', async () => {
  const { late, ...paths } = place();
  await using _late = await OtherHolder.of(late, 'shared');
  const work = vi.fn(async () => 0);
  await expect(withSrLock(paths, SR, Deadline.after(60_000), work)).rejects.toMatchObject({ code: 'lock-busy' });
  expect(work).not.toHaveBeenCalled();
});
