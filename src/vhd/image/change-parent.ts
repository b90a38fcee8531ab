import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { timestampField } from '../format/footer.ts';
import { encodeHeader, newHeader, NO_UUID } from '../format/header.ts';
import { encodeLocatorText, type Locator, locatorSpace, MACX, W2KU, W2RU } from '../format/locator.ts';
import type { NewParent } from './create-child.ts';
import type { VhdImage } from './image.ts';

/** What makes a child hang on another parent: the locators first, and the header that goes with them. */
export interface ParentChange {
  readonly locators: readonly Piece[];
  readonly header: Piece;
}

interface Piece {
  readonly offset: number;
  readonly bytes: Buffer;
}

/**
 * Each locator keeps its place (`vhd-util modify -p`). 'vhd-corrupt' where it has none that can be read, and
 * 'invalid-argument' where the name of the parent does not fit one. Pure.
 */
export function planParentChange(image: VhdImage, parent: NewParent): ParentChange {
  const { header, io } = image;
  const pieces: Piece[] = [];
  const locators = header.locators.map((locator): Locator => {
    const { code, offset } = locator;
    if (code !== MACX && code !== W2KU && code !== W2RU) return locator;
    const text = encodeLocatorText(code, `./${parent.name}`);
    const space = locatorSpace(locator);
    if (text.length > space) {
      throw new RbdsrError('invalid-argument', {
        what: `the name of a parent does not fit a locator of ${io.name}: ${JSON.stringify(parent.name)}`,
        expected: `at most ${space} bytes`,
        found: `${text.length} bytes`,
      });
    }
    pieces.push({ offset, bytes: Buffer.concat([text, Buffer.alloc(space - text.length)]) });
    return { ...locator, length: text.length };
  });
  if (!image.hasParent || pieces.length === 0) {
    throw new RbdsrError('vhd-corrupt', { what: `${io.name} names no parent that could be another` });
  }
  const named = newHeader(header.maxBatEntries, {
    name: parent.name,
    parentUuid: parent.uuid ?? NO_UUID,
    parentTimestamp: timestampField(parent.modified),
    locators,
  });
  const { parentName, parentUuid, parentTimestamp } = named;
  const changed = { ...header, parentName, parentUuid, parentTimestamp, locators };
  return { locators: pieces, header: { offset: Number(image.footer.dataOffset), bytes: encodeHeader(changed) } };
}

/** Durable on return. */
export async function writePieces(io: BlockIo, pieces: readonly Piece[]): Promise<void> {
  for (const { offset, bytes } of pieces) await io.write(offset, bytes);
  await io.flush();
}
