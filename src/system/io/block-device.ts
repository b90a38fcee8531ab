import { constants, fstat as statDescriptor, open as openFile } from 'node:fs';
import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { SECTOR } from '../../base/units.ts';
import { deviceNumbers } from './block-node.ts';
import { DescriptorIo } from './descriptor-io.ts';
import { DirectIo } from './direct-io.ts';
import { errnoName } from '../errno-name.ts';
import { describeOpeners, openersOf } from '../openers.ts';
import { readAttribute } from '../sysfs.ts';
import { readQueueAttribute } from '../waiting-sysfs.ts';

export interface BlockOpenOptions {
  /**
   * O_DIRECT; by default true for block devices and false for files. A file whose file system does not know it, or that
   * ends within a sector of it, as a VHD does on 4096-byte sectors, is opened without: its last bytes could not be had.
   */
  readonly direct?: boolean;
  /** O_EXCL: refuse a block device that is mounted or held by another exclusive opener ('device-busy'). */
  readonly exclusive?: boolean;
}

/**
 * Opens a block device or a regular file; a file keeps the size it has. Calls may overlap in time: reads and
 * whole-sector writes run side by side, a write of partial sectors has its range to itself. The buffer of an aligned
 * read is handed out uncopied, and a write of a buffer of `alignedBuffer` reaches the device uncopied. 'device-missing'
 * | 'device-busy' | 'io'.
 */
export async function openBlockIo(
  path: string,
  mode: 'read' | 'write',
  options: BlockOpenOptions = {},
): Promise<BlockIo> {
  const { stats, fd, direct } = await openNode(path, mode, options);
  const size = stats.isBlockDevice() ? sizeOfDevice(path, stats.rdev) : stats.size;
  const io = new DescriptorIo(path, size, fd);
  if (!direct) return io;
  let sector: number;
  try {
    sector = await sectorSize(stats);
  } catch (error) {
    await io.close();
    throw error;
  }
  if (size % sector === 0) return new DirectIo(io, sector);
  await io.close();
  return openBlockIo(path, mode, { ...options, direct: false });
}

async function openNode(
  path: string,
  mode: 'read' | 'write',
  options: BlockOpenOptions,
): Promise<{ stats: Stats; fd: number; direct: boolean }> {
  try {
    const isDevice = (await stat(path)).isBlockDevice();
    const direct = options.direct ?? isDevice;
    const access = mode === 'read' ? constants.O_RDONLY : constants.O_RDWR;
    const exclusive = options.exclusive === true && isDevice ? constants.O_EXCL : 0;
    const fd = await openDescriptor(path, access | exclusive | (direct ? constants.O_DIRECT : 0));
    return { stats: await statOf(fd), fd, direct };
  } catch (error) {
    const cause = error as NodeJS.ErrnoException;
    if (options.direct === true && cause.code === 'EINVAL') return openNode(path, mode, { ...options, direct: false });
    throw openFailure(path, cause);
  }
}

const openDescriptor: (path: string, flags: number) => Promise<number> = promisify(openFile);
const statOf: (fd: number) => Promise<Stats> = promisify(statDescriptor);

function openFailure(path: string, cause: NodeJS.ErrnoException): RbdsrError {
  const errno = errnoName(cause) ?? 'unknown';
  const facts = { path, errno };
  if (errno === 'ENOENT' || errno === 'ENXIO' || errno === 'ENODEV') {
    return new RbdsrError('device-missing', { what: `there is no device ${path} (${errno})`, facts, cause });
  }
  if (errno === 'EBUSY') {
    const openers = describeOpeners(openersOf(path)) ?? 'no process or device that can be named';
    return new RbdsrError('device-busy', { what: `${path} is in use`, found: openers, facts, cause });
  }
  return new RbdsrError('io', { what: `cannot open ${path}: ${errno}`, facts, cause });
}

function sizeOfDevice(path: string, rdev: number): number {
  const sectors = readAttribute(`${sysFolder(rdev)}/size`);
  if (sectors === undefined) throw openFailure(path, Object.assign(new Error('no size in sysfs'), { code: 'ENXIO' }));
  return Number(sectors) * SECTOR;
}

/**
 * What O_DIRECT requests have to be multiples of. A partition has no queue of its own; its disk, one folder up, has.
 */
async function sectorSize(stats: Stats): Promise<number> {
  const folder = sysFolder(stats.isBlockDevice() ? stats.rdev : stats.dev);
  const size =
    (await readQueueAttribute(`${folder}/queue/logical_block_size`)) ??
    (await readQueueAttribute(`${folder}/../queue/logical_block_size`));
  return size === undefined ? WORST_SECTOR : Number(size);
}

/** A multiple of every sector size there is, for a file system without a device. */
const WORST_SECTOR = 4096;

function sysFolder(device: number): string {
  const { major, minor } = deviceNumbers(device);
  return `/sys/dev/block/${major}:${minor}`;
}
