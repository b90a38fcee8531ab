import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** Debian has no blktap: this is for hosts that have blktap 4 and vhd-util, with strace. */
const SUPPORT = join(import.meta.dirname, '../../support/stand-ins/record-tap-ctl.mjs');
const FIXTURE = join(import.meta.dirname, '../../fixtures/tap-ctl/4.0.8.json');
const EMPTY = 'mkdir -p /run/blktap-control && mount -t tmpfs own /run/blktap-control && exec "$@"';
const isThere = ['/usr/sbin/tap-ctl', '/usr/libexec/tapdisk'].every((path) => existsSync(path));

test.runIf(isThere)('tap-ctl of this machine still answers as it was recorded to', () => {
  const words = ['-m', 'sh', '-c', EMPTY, 'sh', process.execPath, SUPPORT, '4.0.8'];
  const now = execFileSync('unshare', words, { encoding: 'utf8' });
  expect(JSON.parse(now)).toEqual(JSON.parse(readFileSync(FIXTURE, 'utf8')));
});
