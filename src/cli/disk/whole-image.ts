import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { settled } from '../../base/settle.ts';
import { printable } from '../../ceph/image/image-spec.ts';
import { dmName, splitDmName } from '../../lvm/dm-name.ts';
import { openBlockIo } from '../../system/io/block-device.ts';
import { openChain, type VhdChain } from '../../vhd/chain/chain.ts';
import { footerOffset } from '../../vhd/format/find-footer.ts';
import type { OpenParent, ParentReference } from '../../vhd/chain/open-parents.ts';

/**
 * A disk and all its parents, for reading. The nth of `parents` is where the nth ancestor is; for the others the names
 * in the child count, relative to the child's folder. 'device-missing' | 'vhd-corrupt' | 'invalid-argument' before
 * anything is read of the content.
 */
export async function openWholeImage(path: string, parents: readonly string[] = []): Promise<VhdChain> {
  const given = parents.values();
  const leaf = await openImageFile(path);
  try {
    await refuseStranger(leaf);
    // A logical volume: its footers count as for the scan of its SR.
    return await openChain(leaf, 'read', openParent, { copyFirst: (await stat(path)).isBlockDevice() });
  } catch (error) {
    await leaf.close();
    throw error;
  }

  async function openParent(reference: ParentReference): ReturnType<OpenParent> {
    const next = given.next();
    const io = await openImageFile(next.done === true ? await findParent(reference) : next.value);
    return reference.uuid === undefined ? { raw: io } : io;
  }
}

/**
 * Says so in one sentence where there is no trace of a VHD; what is wrong with a damaged one is for its decoder to say.
 */
async function refuseStranger(io: BlockIo): Promise<void> {
  const places = (['end', 'legacy-end', 'copy'] as const)
    .map((place) => footerOffset(io.size, place))
    .filter((at) => at >= 0 && at + 8 <= io.size);
  const starts = await settled(places.map(async (at) => (await io.read(at, 8)).toString('latin1')));
  if (starts.some((start) => start === 'conectix' || start === 'v_poison')) return;
  throw new RbdsrError('vhd-corrupt', {
    what: `${printable(io.name)} is not a VHD`,
    expected: 'a footer, which starts with "conectix", at its end or at byte 0',
    found: io.size === 0 ? 'an empty file' : `${io.size} bytes without one`,
  });
}

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

async function findParent(reference: ParentReference): Promise<string> {
  const candidates = parentCandidates(reference);
  for (const path of candidates) if ((await statIfThere(path)) !== undefined) return path;
  const names = candidates.map((path) => printable(path)).join(', ');
  throw new RbdsrError('device-missing', {
    what: `a parent of ${printable(reference.child)} is not there`,
    expected: names === '' ? 'a name of the parent, and it names none' : `one of ${names}`,
    todo: 'Activate its logical volume ("lvchange -ay"), or say where it is: --parent PATH.',
  });
}

/** Whatever keeps it from being looked at, opening it will say. */
function statIfThere(path: string): Promise<Stats | undefined> {
  return stat(path).catch(() => undefined);
}

/**
 * Where the parent of a child may be. An LV's child names it by its device-mapper name, whatever folder the child was
 * opened in.
 */
function parentCandidates({ child, paths, lvName }: ParentReference): string[] {
  const folder = dirname(child);
  const vg = splitDmName(basename(child))?.vg;
  const names = paths.flatMap((path) => {
    const lv = splitDmName(basename(path))?.lv;
    return lv === undefined ? [path] : [path, lv];
  });
  if (lvName !== undefined) names.push(lvName, ...(vg === undefined ? [] : [dmName(vg, lvName)]));
  return [...new Set(names.map((name) => resolve(folder, name)))];
}
