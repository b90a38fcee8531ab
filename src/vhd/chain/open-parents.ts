import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { NO_UUID } from '../format/header.ts';
import { type FixedVhd, openForeign } from '../image/fixed.ts';
import { VhdImage } from '../image/image.ts';
import type { OpenOptions } from '../image/metadata.ts';
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

export type Parent = VhdImage | FixedVhd | RawParent;

/** All ancestors of `leaf`, nearest first; closes those it opened when it fails. `o` as for `VhdImage.open`. */
export async function openParents(leaf: VhdImage, openParent: OpenParent, o: OpenOptions = {}): Promise<Parent[]> {
  const { parents, broken } = await openParentsAsFar(leaf, openParent, o);
  if (broken === undefined) return parents;
  return undo(broken, { 'parents that were opened': () => settled(parents.map(({ io }) => io.close())) });
}

/** The same, as far as they can be opened, and why the next one cannot. */
export async function openParentsAsFar(
  leaf: VhdImage,
  openParent: OpenParent,
  o: OpenOptions = {},
): Promise<{ readonly parents: Parent[]; readonly broken?: unknown }> {
  const parents: Parent[] = [];
  const seen = new Set([leaf.footer.uuid]);
  try {
    for (let child: Parent = leaf; child instanceof VhdImage && child.hasParent; ) {
      if (parents.length + 2 > MAX_CHAIN) {
        throw chainError(`the chain of ${leaf.io.name} has more than ${MAX_CHAIN} levels`);
      }
      child = await openNext(child, openParent, o, (uuid, name) => {
        if (seen.has(uuid)) throw chainError(`the chain of ${leaf.io.name} comes back to ${name}`);
        seen.add(uuid);
      });
      parents.push(child);
    }
    return { parents };
  } catch (broken) {
    return { parents, broken };
  }
}

/** The parent of `child`; closes what it has opened when it fails. `see` refuses one that was there before. */
async function openNext(
  child: VhdImage,
  openParent: OpenParent,
  o: OpenOptions,
  see: (uuid: string, name: string) => void,
): Promise<Parent> {
  const reference = await referenceOf(child);
  const answer = await openParent(reference);
  const io = 'raw' in answer ? answer.raw : answer;
  try {
    if ('raw' in answer) {
      checkUuid(reference, io, undefined);
      return { io, virtualSizeBytes: io.size };
    }
    const parent = o.foreign === true ? await openForeign(io, o) : await VhdImage.open(io, 'read', o);
    checkUuid(reference, io, parent.footer.uuid);
    see(parent.footer.uuid, io.name);
    return parent;
  } catch (error) {
    return undo(error, { 'a parent that was opened': () => io.close() });
  }
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
