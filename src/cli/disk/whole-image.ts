import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { settled } from '../../base/settle.ts';
import { printable } from '../../ceph/image/image-spec.ts';
import { dmName, splitDmName } from '../../lvm/dm-name.ts';
import { VhdChain } from '../../vhd/chain/chain.ts';
import { type OpenParent, openParentsAsFar, type Parent, type ParentReference } from '../../vhd/chain/open-parents.ts';
import { orFinding } from '../../vhd/check/findings.ts';
import { findFooter } from '../../vhd/format/find-footer.ts';
import { FIXED } from '../../vhd/format/footer.ts';
import { type FixedVhd, openForeign } from '../../vhd/image/fixed.ts';
import { VhdImage } from '../../vhd/image/image.ts';
import { isThere, openImageFile, refuseStranger } from './image-file.ts';

/** A disk and its parents, for looking at them. */
export interface WholeImage {
  readonly leaf: VhdImage | FixedVhd;
  /** Nearest first. */
  readonly parents: readonly Parent[];
  /** Why the next parent cannot be opened. */
  readonly broken?: unknown;
  close(): Promise<void>;
}

/**
 * A disk and all its parents that can be opened. The nth of `parents` is where the nth ancestor is; for the others the
 * names in the child count, relative to the child's folder. 'device-missing' | 'vhd-corrupt' | 'invalid-argument' where
 * the disk itself cannot be opened.
 */
export async function openWholeImage(path: string, parents: readonly string[] = []): Promise<WholeImage> {
  const given = parents.values();
  const io = await openImageFile(path);
  try {
    await refuseStranger(io);
    // A logical volume: its footers count as for the scan of its SR.
    const o = { copyFirst: (await stat(path)).isBlockDevice(), foreign: true };
    const leaf = await openForeign(io, o);
    const below = leaf instanceof VhdImage ? await openParentsAsFar(leaf, openParent, o) : { parents: [] };
    const close = async (): Promise<void> =>
      void (await settled([leaf, ...below.parents].map((one) => one.io.close())));
    return { leaf, ...below, close };
  } catch (error) {
    await io.close();
    throw error;
  }

  async function openParent(reference: ParentReference): ReturnType<OpenParent> {
    const next = given.next();
    const found = await openImageFile(next.done === true ? await findParent(reference) : next.value);
    return reference.uuid === undefined ? { raw: await rawDisk(found, reference) } : found;
  }
}

/**
 * A child that has lost the uuid of its parent names a raw one; read so, a VHD would show its own headers. A fixed one
 * shows the same either way.
 */
async function rawDisk(io: BlockIo, { child }: ParentReference): Promise<BlockIo> {
  const found = await orFinding(findFooter(io), () => {});
  if (found === undefined || found.footer.diskType === FIXED) return io;
  await io.close();
  throw new RbdsrError('vhd-corrupt', {
    what: `${printable(child)} names a raw parent, and ${printable(io.name)} is a VHD`,
    todo: 'Its header has lost the uuid of its parent: it can be read once that is put back.',
  });
}

/** What a guest would read of it; it must be whole. */
export function contentOf({ leaf, parents }: WholeImage): Pick<BlockIo, 'size' | 'read'> {
  if (leaf instanceof VhdImage) return new VhdChain(leaf, parents);
  return { size: leaf.virtualSizeBytes, read: (offset, length) => leaf.io.read(offset, length) };
}

async function findParent(reference: ParentReference): Promise<string> {
  const candidates = parentCandidates(reference);
  for (const path of candidates) if (await isThere(path)) return path;
  const names = candidates.map((path) => printable(path)).join(', ');
  throw new RbdsrError('device-missing', {
    what: `a parent of ${printable(reference.child)} is not there`,
    expected: names === '' ? 'a name of the parent, and it names none' : `one of ${names}`,
    todo: 'Activate its logical volume ("lvchange -ay"), or say where it is: --parent PATH.',
  });
}

/**
 * Where the parent of a child may be. An LV's child names it by its device-mapper name, whatever folder the child was
 * opened in.
 */
function parentCandidates({ child, paths, lvName }: ParentReference): string[] {
  const folder = dirname(child);
  const vg = partsOfDmName(basename(child))?.vg;
  const names = paths.flatMap((path) => {
    const lv = partsOfDmName(basename(path))?.lv;
    return lv === undefined ? [path] : [path, lv];
  });
  if (lvName !== undefined) names.push(lvName, ...(vg === undefined ? [] : [dmName(vg, lvName)]));
  return [...new Set(names.filter((name) => name !== '').map((name) => resolve(folder, name)))];
}

/** Of a volume group that is an SR's, whose name has hyphens; any other file may have one in its name. */
function partsOfDmName(name: string): ReturnType<typeof splitDmName> {
  return name.includes('--') ? splitDmName(name) : undefined;
}
