import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type SystemdTranscript, systemdTranscript } from '../../../lab/hosts/recorded-systemd.ts';

const RECORD = join(import.meta.dirname, '../../support/stand-ins/record-systemd.mjs');
const GOES_DOWN = /^\s*[0-9]+ +shutdown\.target +start\b/m;

/** Numbers, order and names of jobs are the machine's: whether it goes down is what they are asked for. */
function manners({ calls }: SystemdTranscript): readonly unknown[] {
  return calls.map(({ state, argv, exit, stdout, stderr }) => {
    const said = argv.includes('list-jobs') ? { jobs: stdout !== '', goesDown: GOES_DOWN.test(stdout) } : { stdout };
    return { state, argv, exit, stderr, ...said };
  });
}

test('systemctl and udevadm of this machine still answer as they were recorded to', { timeout: 240_000 }, () => {
  const now = JSON.parse(execFileSync(process.execPath, [RECORD], { encoding: 'utf8' })) as SystemdTranscript;
  expect(manners(now)).toEqual(manners(systemdTranscript(now.version)));
});
