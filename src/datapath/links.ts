import { existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync, statSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { RbdsrError } from '../base/error.ts';
import { deviceNumbers, makeBlockNode } from '../system/io/block-node.ts';
import type { SrUuid } from '../base/ids.ts';
import { removeIfExists } from '../system/files.ts';
import type { DataPathHost } from './datapath-host.ts';
import type { DiskId } from './datapath.ts';

/** The names of one disk on this host (contract of blktap2: sm `blktap2.py`, classes PhyLink, BackendLink, NBDLink). */
export interface DiskLinks {
  /** Symlink to the logical volume. */
  readonly phy: string;
  /** Block device node with the numbers of what serves the disk; undefined where blktap has no kernel nodes. */
  readonly backend: string | undefined;
  /** Symlink to the NBD socket; undefined where the version has none. */
  readonly nbd: string | undefined;
}

export function linksOf(host: DataPathHost, { sr, vdi }: DiskId): DiskLinks {
  const { devSmDir, blktapControlDir } = host.paths;
  return {
    phy: `${devSmDir}/phy/${sr}/${vdi}`,
    backend: host.datapath.kernelNodes ? `${devSmDir}/backend/${sr}/${vdi}` : undefined,
    nbd: host.datapath.nbdLinks ? `${blktapControlDir}/nbd/${sr}/${vdi}` : undefined,
  };
}

/** The links to the volumes of every disk of an SR that has names here. */
export function phyLinksOf({ paths }: DataPathHost, sr: SrUuid): readonly string[] {
  const folder = `${paths.devSmDir}/phy/${sr}`;
  return existsSync(folder) ? readdirSync(folder).map((name) => `${folder}/${name}`) : [];
}

/**
 * Makes a symlink. One with the same target is accepted; one whose target is gone is what a crash left, and replaced;
 * any other is 'vdi-unavailable', since somebody may be using the disk through it.
 */
export function ensureLink(path: string, target: string): void {
  const found = linkTarget(path);
  if (found === target) return;
  if (found !== undefined) {
    if (existsSync(path)) throw wrongTarget(path, `a link to ${target}`, `a link to ${found}`);
    removeIfExists(path);
  } else if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
    throw wrongTarget(path, `a link to ${target}`, 'something that is no link');
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  symlinkSync(target, path);
}

export interface DeviceNumbers {
  readonly major: number;
  readonly minor: number;
}

/**
 * Makes a block device node, group-readable for `disk` as XenServer 8 has it. One with other numbers is
 * 'vdi-unavailable'.
 */
export function ensureNode(path: string, numbers: DeviceNumbers): void {
  const { major, minor } = numbers;
  const found = nodeNumbers(path);
  if (found === undefined && lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
    throw wrongTarget(path, `a block device ${major}:${minor}`, 'something that is no block device');
  }
  if (found !== undefined && (found.major !== major || found.minor !== minor)) {
    throw wrongTarget(path, `a block device ${major}:${minor}`, `a block device ${found.major}:${found.minor}`);
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  makeBlockNode(path, major, minor, 0o640);
}

/** The numbers of the block device at `path`, links followed; undefined where there is none. */
export function nodeNumbers(path: string): DeviceNumbers | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats?.isBlockDevice() === true ? deviceNumbers(stats.rdev) : undefined;
}

/** Where a symlink leads, whether that exists or not; undefined where there is no symlink. */
export function linkTarget(path: string): string | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true ? readlinkSync(path) : undefined;
}

/** Removes every name of the disk; those that are gone are no error. */
export function removeLinks(links: DiskLinks): void {
  removeServiceLinks(links);
  removeIfExists(links.phy);
}

/** Removes the names of what serves the disk, not that of its logical volume. */
export function removeServiceLinks(links: DiskLinks): void {
  if (links.nbd !== undefined) removeIfExists(links.nbd);
  if (links.backend === undefined) return;
  removeIfExists(links.backend);
  removeIfExists(`${links.backend}.attach_info`);
}

function wrongTarget(path: string, expected: string, found: string): RbdsrError {
  return new RbdsrError('vdi-unavailable', {
    what: `${path} is already there and leads elsewhere`,
    expected,
    found,
    todo: 'Detach the disk from whatever uses it through that name; deactivating the VDI removes the name.',
    facts: { path, expected, found },
  });
}
