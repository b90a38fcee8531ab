import { statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { deviceNumbers } from './io/block-node.ts';
import { DescriptorLook } from './descriptors.ts';
import { namesIn } from './files.ts';
import { mountsOf } from './mounts.ts';
import { processFacts } from './processes.ts';
import { readAttribute } from './sysfs.ts';

/** Who keeps a block device in use. */
export interface DeviceOpeners {
  readonly processes: readonly DeviceOpener[];
  /** Names of the kernel devices built on it: `dm-3`, `loop0`. */
  readonly holders: readonly string[];
  /** Where it is mounted. */
  readonly mountPoints: readonly string[];
}

export interface DeviceOpener {
  readonly pid: number;
  readonly command: string;
  /** The command of its parent process, where that still runs. */
  readonly startedBy?: string;
}

/**
 * Whose open descriptors, mounts and stacked devices refer to `device`: the path of a node, or its numbers. This
 * process is left out. Never waits for what others have open.
 */
export function openersOf(device: string | { readonly major: number; readonly minor: number }): DeviceOpeners {
  const numbers = typeof device === 'string' ? numbersOf(device) : device;
  if (numbers === undefined) return { processes: [], holders: [], mountPoints: [] };
  const { major, minor } = numbers;
  return {
    processes: processesWith(major, minor),
    holders: namesIn(`/sys/dev/block/${major}:${minor}/holders`),
    mountPoints: mountPointsOf(major, minor),
  };
}

/** "pid 12 (qemu-nbd), dm-3 (VG_XenStorage--...-VHD--...), mounted on /mnt", or undefined when nobody has it open. */
export function describeOpeners(openers: DeviceOpeners): string | undefined {
  const all = [
    ...openers.processes.map(({ pid, command }) => `pid ${pid} (${command})`),
    ...openers.holders.map(withDmName),
    ...openers.mountPoints.map((path) => `mounted on ${path}`),
  ];
  return all.length === 0 ? undefined : all.join(', ');
}

/** The name that dmsetup knows it by, where it has one. */
function withDmName(holder: string): string {
  const name = readAttribute(`/sys/block/${holder}/dm/name`);
  return name === undefined ? holder : `${holder} (${name})`;
}

function numbersOf(path: string): { major: number; minor: number } | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats?.isBlockDevice() === true ? deviceNumbers(stats.rdev) : undefined;
}

function processesWith(major: number, minor: number): DeviceOpener[] {
  const look = new DescriptorLook();
  const found: DeviceOpener[] = [];
  for (const name of namesIn('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid || !look.files(pid).some(isDevice)) continue;
    const facts = processFacts(pid);
    // One that has ended since has nothing open any more.
    if (facts === undefined) continue;
    const startedBy = processFacts(facts.parent)?.command;
    found.push({ pid, command: facts.command, ...(startedBy === undefined ? {} : { startedBy }) });
  }
  return found;

  function isDevice(stats: Stats): boolean {
    if (!stats.isBlockDevice()) return false;
    const numbers = deviceNumbers(stats.rdev);
    return numbers.major === major && numbers.minor === minor;
  }
}

function mountPointsOf(major: number, minor: number): string[] {
  return mountsOf('self')
    .filter(({ device }) => device === `${major}:${minor}`)
    .map(({ point }) => point);
}
