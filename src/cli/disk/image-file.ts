import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { settled } from '../../base/settle.ts';
import { printable } from '../../ceph/image/image-spec.ts';
import { openBlockIo } from '../../system/io/block-device.ts';
import { footerOffset } from '../../vhd/format/find-footer.ts';

/** A regular file or a block device. */
export async function openImageFile(path: string): Promise<BlockIo> {
  const stats = await statIfThere(path);
  if (stats !== undefined && !stats.isFile() && !stats.isBlockDevice()) {
    throw new RbdsrError('invalid-argument', {
      what: `${printable(path)} cannot hold a virtual disk`,
      expected: 'a file or a block device',
      found: stats.isDirectory() ? 'a directory' : 'something else',
    });
  }
  return openBlockIo(path, 'read');
}

export async function isThere(path: string): Promise<boolean> {
  return (await statIfThere(path)) !== undefined;
}

/** Whatever keeps it from being looked at, opening it will say. */
function statIfThere(path: string): Promise<Stats | undefined> {
  return stat(path).catch(() => undefined);
}

/** Other formats of disks, by the bytes they begin with. */
const STRANGERS: readonly (readonly [name: string, start: string])[] = [
  ['VHDX', 'vhdxfile'],
  ['qcow2', 'QFI\xFB'],
  ['VMDK', 'KDMV'],
  ['VMDK', '# Disk Descriptor'],
  ['VDI', '<<< '],
];
const LONGEST_START = 17;

/**
 * Says so in one sentence where there is no trace of a VHD; what is wrong with a damaged one is for its decoder to say.
 */
export async function refuseStranger(io: BlockIo): Promise<void> {
  const places = (['end', 'legacy-end', 'copy'] as const)
    .map((place) => footerOffset(io.size, place))
    .filter((at) => at >= 0 && at + 8 <= io.size);
  const starts = await settled(places.map(async (at) => (await io.read(at, 8)).toString('latin1')));
  if (starts.some((start) => start === 'conectix' || start === 'v_poison')) return;
  const first = (await io.read(0, Math.min(LONGEST_START, io.size))).toString('latin1');
  const stranger = STRANGERS.find(([, start]) => first.startsWith(start));
  const what = io.size === 0 ? 'an empty file' : `${io.size} bytes without one`;
  throw new RbdsrError('vhd-corrupt', {
    what: `${printable(io.name)} is not a VHD`,
    expected: 'a footer, which starts with "conectix", at its end or at byte 0',
    found: stranger === undefined ? what : `a disk of another format, ${stranger[0]}`,
  });
}
