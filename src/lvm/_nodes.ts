import { existsSync, mkdirSync, statSync, symlinkSync } from 'node:fs';
import type { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';
import { deviceNumbers } from '../system/io/block-node.ts';
import { removeIfExists } from '../system/files.ts';
import { describeOpeners, openersOf } from '../system/openers.ts';
import { runProgram, succeeded } from '../system/run.ts';
import { readAttribute } from '../system/sysfs.ts';
import { dmName, lvPath } from './dm-name.ts';

/** How long udev is given to make the link before it is made by hand. */
const UDEV_MS = 3000;

/**
 * Waits for the node of an LV that was activated; makes the `/dev/<vg>/<lv>` link by hand where only the mapper node
 * appears.
 */
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
 * After LVM let an LV go: a device that device-mapper still has (LVM before 2.02.98 leaves one when udev was late) is
 * removed, and nodes and links that lead to none (sm `lvutil`, `_lvmBugCleanup`). 'device-busy' where the device stays.
 */
export async function lvNodeGone(vg: string, lv: string, deadline: Deadline): Promise<void> {
  const name = dmName(vg, lv);
  const mapper = `/dev/mapper/${name}`;
  for (let attempt = 1; isLive(mapper, name); attempt += 1) {
    // Forcing replaces the table with one of errors first: nobody may be writing there.
    const force = attempt > 1 && (await isUnused(name, deadline)) ? ['--force'] : [];
    await runProgram('dmsetup', ['remove', ...force, name], { deadline });
    if (!isLive(mapper, name)) break;
    if (attempt === 5 || deadline.expired) {
      throw new RbdsrError('device-busy', {
        what: `${mapper} is left over from logical volume ${lv} and cannot be removed`,
        ...(openersOfLv(vg, lv) === undefined ? {} : { found: openersOfLv(vg, lv) ?? '' }),
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  for (const path of [mapper, lvPath(vg, lv)]) if (!isLive(path, name)) removeIfExists(path);
}

export function openersOfLv(vg: string, lv: string): string | undefined {
  const name = dmName(vg, lv);
  const mapper = `/dev/mapper/${name}`;
  return isLive(mapper, name) ? describeOpeners(openersOf(mapper)) : undefined;
}

/**
 * Whether the node is that of a device which device-mapper has by this name. A node outlives its device where nothing
 * removed it, and the next device may have its numbers (Linux `Documentation/ABI/testing/sysfs-block-dm`).
 */
function isLive(path: string, name: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats?.isBlockDevice() !== true) return false;
  const { major, minor } = deviceNumbers(stats.rdev);
  return readAttribute(`/sys/dev/block/${major}:${minor}/dm/name`) === name;
}

async function isUnused(name: string, deadline: Deadline): Promise<boolean> {
  const outcome = await runProgram('dmsetup', ['info', '-c', '--noheadings', '-o', 'open', name], { deadline });
  return succeeded(outcome) && outcome.stdout.trim() === '0';
}
