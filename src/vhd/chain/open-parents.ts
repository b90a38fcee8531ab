import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { NO_UUID } from '../format/header.ts';
import { VhdImage } from '../image/image.ts';
import { fileParentNames, parentAsScanned, readParentNames } from '../format/parent-names.ts';
import { settled } from '../../base/settle.ts';
import { undo } from '../../base/undo.ts';

/** Levels that are followed: far more than an SR makes (sm `MAX_CHAIN_SIZE`, 30), for others made longer ones. */
export const MAX_CHAIN = 1000;

/** How a child names its parent. */
export interface ParentReference {
  /** The child, for messages. */
  readonly child: string;
  /** The uuid in the parent's footer; absent for a raw parent. */
  readonly uuid?: string;
  /** Paths in the order in which to try them; "./name" is relative to the directory of the child. */
  readonly paths: readonly string[];
  /** The LV, where the names are device-mapper names. */
  readonly lvName?: string;
}

/** Opens a parent for reading: a VHD, or `{raw}` for a disk that is not one. */
export type OpenParent = (reference: ParentReference) => Promise<BlockIo | { readonly raw: BlockIo }>;

/** A raw disk at the bottom of a chain. */
export interface RawParent {
  readonly io: BlockIo;
  /** Bytes. */
  readonly virtualSizeBytes: number;
}

/** All ancestors of `leaf`, nearest first; closes those it opened when it fails. `o` as for `VhdImage.open`. */
export async function openParents(
  leaf: VhdImage,
  openParent: OpenParent,
  o: { readonly copyFirst?: boolean } = {},
): Promise<(VhdImage | RawParent)[]> {
  const opened: BlockIo[] = [];
  try {
    return await walk(leaf, openParent, opened, o);
  } catch (error) {
    return undo(error, { 'parents that were opened': () => settled(opened.map((io) => io.close())) });
  }
}

async function walk(
  leaf: VhdImage,
  openParent: OpenParent,
  opened: BlockIo[],
  o: { readonly copyFirst?: boolean },
): Promise<(VhdImage | RawParent)[]> {
  const parents: (VhdImage | RawParent)[] = [];
  const seen = new Set([leaf.footer.uuid]);
  for (let child = leaf; child.hasParent; ) {
    if (parents.length + 2 > MAX_CHAIN) {
      throw chainError(`the chain of ${leaf.io.name} has more than ${MAX_CHAIN} levels`);
    }
    const reference = await referenceOf(child);
    const answer = await openParent(reference);
    const raw = 'raw' in answer;
    const io = raw ? answer.raw : answer;
    opened.push(io);
    if (raw) {
      checkUuid(reference, io, undefined);
      parents.push({ io, virtualSizeBytes: io.size });
      return parents;
    }
    const parent = await VhdImage.open(io, 'read', o);
    checkUuid(reference, io, parent.footer.uuid);
    if (seen.has(parent.footer.uuid)) throw chainError(`the chain of ${leaf.io.name} comes back to ${io.name}`);
    seen.add(parent.footer.uuid);
    parents.push(parent);
    child = parent;
  }
  return parents;
}

async function referenceOf(child: VhdImage): Promise<ParentReference> {
  const names = await readParentNames(child.io, child.header);
  const lvName = parentAsScanned(names);
  const uuid = child.header.parentUuid;
  return {
    child: child.io.name,
    paths: fileParentNames(names),
    ...(uuid === NO_UUID ? {} : { uuid }),
    ...(lvName === undefined ? {} : { lvName }),
  };
}

function checkUuid(reference: ParentReference, io: BlockIo, found: string | undefined): void {
  if (reference.uuid === found) return;
  throw new RbdsrError('vhd-corrupt', {
    what: `${io.name} is not the parent that ${reference.child} names`,
    expected: reference.uuid === undefined ? 'a raw disk' : `a VHD with uuid ${reference.uuid}`,
    found: found === undefined ? 'a raw disk' : `a VHD with uuid ${found}`,
  });
}

function chainError(what: string): RbdsrError {
  return new RbdsrError('vhd-corrupt', { what });
}
