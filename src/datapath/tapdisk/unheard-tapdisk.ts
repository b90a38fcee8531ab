import { statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { RbdsrError } from '../../base/error.ts';
import { DescriptorLook } from '../../system/descriptors.ts';

/**
 * 'tapdisk-running' where one of the tapdisks that are listed with their pid alone has one of these volumes open.
 * `tap-ctl list` waits ten seconds for what a tapdisk serves; one that is late, as all are on a cluster that has
 * stalled, is listed as one that serves nothing is, with exit code 0 (blktap `control/tap-ctl-list.c`,
 * _tap_ctl_list_tapdisk). What it has open tells the two apart.
 */
export function refuseUnheard(pids: readonly number[], volumes: readonly string[]): void {
  if (pids.length === 0) return;
  const look = new DescriptorLook();
  const open = pids.flatMap((pid) => look.files(pid).map((file) => ({ pid, file })));
  for (const path of volumes) {
    const volume = statSync(path, { throwIfNoEntry: false });
    const found = volume === undefined ? undefined : open.find(({ file }) => isSame(file, volume));
    if (found === undefined) continue;
    throw new RbdsrError('tapdisk-running', {
      what: `tapdisk pid ${found.pid} has ${path} open and did not tell tap-ctl what it serves`,
      expected: 'an answer within ten seconds',
      found: 'none, as while its disk waits for the cluster',
      todo: 'Repeat the operation once the cluster answers.',
    });
  }
}

function isSame(one: Stats, other: Stats): boolean {
  if (one.isBlockDevice() && other.isBlockDevice()) return one.rdev === other.rdev;
  return one.dev === other.dev && one.ino === other.ino;
}
