import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { srUuid } from '../../../src/base/ids.ts';
import { IpcFlags } from '../../../src/lvhd/ipc-flags.ts';

const SR = srUuid('11111111-2222-3333-4444-555555555555');
let root = '';
beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/rbdsr-lvm-`);
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

it('flags are files with the pid of who set them first', () => {
  const flags = new IpcFlags(SR, root);
  expect([flags.isSet('abort'), flags.set('abort'), flags.set('abort'), flags.isSet('abort')]).toEqual([
    false,
    true,
    false,
    true,
  ]);
  expect(readFileSync(`${root}/${SR}/abort`, 'utf8')).toBe(`${process.pid}\n`);
  flags.set('success');
  flags.clear('abort');
  flags.clear('abort');
  expect([flags.isSet('abort'), flags.isSet('success')]).toEqual([false, true]);
  flags.clearAll();
  expect(existsSync(`${root}/${SR}`)).toBe(false);
  flags.clearAll();
});

it('one of a process that is gone asks for nothing, and is taken away', () => {
  const flags = new IpcFlags(SR, root);
  expect(flags.isSetByLiving('abort')).toBe(false);
  flags.set('abort');
  expect(flags.isSetByLiving('abort')).toBe(true);
  const { pid } = spawnSync('true');
  writeFileSync(`${root}/${SR}/abort`, `${pid}\n`);
  expect([flags.isSetByLiving('abort'), flags.isSet('abort')]).toEqual([false, false]);
  // Whoever sets it by hand says not who.
  writeFileSync(`${root}/${SR}/abort`, '');
  expect(flags.isSetByLiving('abort')).toBe(true);
});
