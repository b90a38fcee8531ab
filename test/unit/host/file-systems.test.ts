import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { placeBuiltProduct } from '../../support/built-product.ts';
import { FAST_FOLDER, fixture, useHosts } from './host-fixture.ts';

const hosts = useHosts();
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(FAST_FOLDER, 'rbdsr-file-systems-'));
  placeBuiltProduct(join(folder, 'product'));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/**
 * In a mount namespace of its own, so that nothing stays mounted. What it leaves is copied out: first enabled, then
 * disabled.
 */
const STORY = `set -e
root=$1 node=$2 cli=$3 out=$4 fault=$5
cp -a "$root/opt/rbdsr" "$out/rbdsr"
mount -t tmpfs -o mode=755 tmpfs "$root/opt/rbdsr"
cp -a "$out/rbdsr/." "$root/opt/rbdsr/"
cp -a "$root/var/lib" "$out/lib"
mount -t tmpfs -o mode=755 tmpfs "$root/var/lib"
cp -a "$out/lib/." "$root/var/lib/"
run() { RBDSR_ROOT=$root "$node" "$cli" "$@"; }
RBDSR_FAULT=$fault run enable || echo killed
run enable
run check
cp -a "$root" "$out/enabled"
run disable
cp -a "$root" "$out/disabled"`;

test.each(['', 'host.staged:3', 'host.staged:9'])(
  '/opt/rbdsr and /var/lib are file systems of their own; killed at "%s" first',
  (fault) => {
    const host = hosts.make('8.3b');
    const before = host.snapshot();
    const out = mkdtempSync(join(folder, 'out-'));
    const argv = [
      '-m',
      'sh',
      '-c',
      STORY,
      'sh',
      host.root,
      process.execPath,
      join(folder, 'product/cli.cjs'),
      out,
      fault,
    ];
    const { status, stdout, stderr } = spawnSync('unshare', argv, {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: expect.not.stringContaining('EXDEV') });
    expect(stdout.includes('killed')).toBe(fault !== '');
    expect(stdout).toContain('All is well.');
    const enabled = fixture(join(out, 'enabled')).snapshot();
    expect(enabled.get('/opt/xensource/sm/LVMoISCSISR')).toBe('link rbdsr-divert.py');
    expect([...enabled.keys()].filter((path) => path.includes('/.rbdsr-'))).toEqual([]);
    expect(fixture(join(out, 'disabled')).snapshot()).toEqual(before);
  },
);
