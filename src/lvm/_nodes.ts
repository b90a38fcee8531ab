import { existsSync, lstatSync, mkdirSync, symlinkSync } from 'node:fs';
import type { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';
import { removeIfExists } from '../system/files.ts';
import { describeOpeners, openersOf } from '../system/openers.ts';
import { runProgram } from '../system/run.ts';
import { dmName, lvPath } from './dm-name.ts';

/** How long udev is given to make the link before it is made by hand. */
const UDEV_MS = 3000;

/** Waits for the node of an LV that was activated; makes the `/dev/<vg>/<lv>` link by hand where only the mapper node appears. */
export async function lvNodePresent(vg: string, lv: string, deadline: Deadline): Promise<string> {
  const path = lvPath(vg, lv);
  const mapper = `/dev/mapper/${dmName(vg, lv)}`;
  const patience = deadline.within(UDEV_MS);
  for (;;) {
    if (existsSync(path)) return path;
    if (patience.expired) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (!existsSync(mapper)) {
    throw new RbdsrError('lvm-activate', {
      what: `logical volume ${lv} was activated`,
      expected: `${mapper} to appear`,
      found: 'no node',
    });
  }
  mkdirSync(`/dev/${vg}`, { recursive: true, mode: 0o755 });
  removeIfExists(path);
  symlinkSync(mapper, path);
  return path;
}

/**
 * After LVM let an LV go: a device-mapper node that is still there (LVM before 2.02.98 leaves one when udev was late) is removed, and the
 * links with it. 'device-busy' where it cannot be.
 */
export async function lvNodeGone(vg: string, lv: string, deadline: Deadline): Promise<void> {
  const name = dmName(vg, lv);
  const mapper = `/dev/mapper/${name}`;
  for (let attempt = 1; isLive(mapper); attempt += 1) {
    await runProgram('dmsetup', ['remove', ...(attempt > 1 ? ['--force'] : []), name], { deadline });
    if (!isLive(mapper)) break;
    if (attempt === 5 || deadline.expired) {
      throw new RbdsrError('device-busy', {
        what: `${mapper} is left over from logical volume ${lv} and cannot be removed`,
        ...(openersOfLv(vg, lv) === undefined ? {} : { found: openersOfLv(vg, lv) ?? '' }),
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  if (isDangling(mapper)) removeIfExists(mapper);
  if (isDangling(lvPath(vg, lv))) removeIfExists(lvPath(vg, lv));
}

export function openersOfLv(vg: string, lv: string): string | undefined {
  const mapper = `/dev/mapper/${dmName(vg, lv)}`;
  return existsSync(mapper) ? describeOpeners(openersOf(mapper)) : undefined;
}

function isLive(path: string): boolean {
  return existsSync(path);
}

function isDangling(path: string): boolean {
  return !existsSync(path) && lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
