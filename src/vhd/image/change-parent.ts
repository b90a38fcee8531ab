import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { SECTOR } from '../../base/units.ts';
import { timestampField } from '../format/footer.ts';
import { encodeHeader, type Header, newHeader, NO_UUID } from '../format/header.ts';
import { encodeLocatorText, type Locator, LOCATOR_BYTES, MACX, NO_LOCATOR, W2KU, W2RU } from '../format/locator.ts';
import type { NewParent } from './create-child.ts';
import type { VhdImage } from './image.ts';
import { placesForTexts, readLocators } from './locator-room.ts';

/**
 * What makes a child hang on another parent, in the order in which it is written: after each, one parent is named by
 * the header and by every locator that it lists, so that any reader opens the child.
 */
export interface ParentChange {
  /** The header with one locator less, or two, where the texts have no other place. */
  readonly narrowed?: Piece;
  /** Texts where no locator is that the header lists. */
  readonly texts: readonly Piece[];
  /** All at once: parent, and where its names are. */
  readonly header: Piece;
}

export interface Piece {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** A locator to be, with its text. */
interface Naming {
  readonly code: number;
  readonly text: Buffer;
}

/**
 * Each text gets another place, and next time that of now is free; those for which there is none are named no more.
 * 'vhd-corrupt' where none of its locators can be read, 'invalid-argument' where not even one text has a place. Pure.
 */
export function planParentChange(image: VhdImage, parent: NewParent): ParentChange {
  const listed = readLocators(image);
  const kept = listed.toSorted((a, b) => a.offset - b.offset).at(-1);
  if (!image.hasParent || kept === undefined) {
    throw new RbdsrError('vhd-corrupt', { what: `${image.io.name} names no parent that could be another` });
  }
  const namings = listed.map(({ code }): Naming => ({ code, text: textOf(code, parent.name) }));
  const roomy = placed(image, image.header.locators, namings);
  if (roomy.length === namings.length) return changeTo(image, parent, roomy);
  const narrow = placed(image, [kept], namings);
  if (narrow.length === 0) {
    throw new RbdsrError('invalid-argument', {
      what: `the name of a parent has no place in ${image.io.name} beside that of now: ${JSON.stringify(parent.name)}`,
      expected: 'free sectors between its tables and its first block',
    });
  }
  return { narrowed: headerOf(image, { locators: eight([kept]) }), ...changeTo(image, parent, narrow) };
}

interface Placed extends Naming {
  readonly offset: number;
  readonly space: number;
}

function placed(image: VhdImage, listed: readonly Locator[], namings: readonly Naming[]): readonly Placed[] {
  const places = placesForTexts(
    image,
    listed,
    namings.map(({ text }) => text.length),
  );
  return namings.flatMap((naming, at) => {
    const place = places[at];
    return place === undefined ? [] : [{ ...naming, offset: place.from, space: place.to - place.from }];
  });
}

function changeTo(image: VhdImage, parent: NewParent, texts: readonly Placed[]): ParentChange {
  const locators = texts.map(
    ({ code, text, offset, space }): Locator => ({ code, space, length: text.length, reserved: 0, offset }),
  );
  const { parentName, parentUuid, parentTimestamp } = newHeader(image.header.maxBatEntries, {
    name: parent.name,
    parentUuid: parent.uuid ?? NO_UUID,
    parentTimestamp: timestampField(parent.modified),
    locators,
  });
  return {
    texts: texts.map(({ text, offset, space }) => ({
      offset,
      bytes: Buffer.concat([text, Buffer.alloc(space - text.length)]),
    })),
    header: headerOf(image, { parentName, parentUuid, parentTimestamp, locators: eight(locators) }),
  };
}

function headerOf({ header, footer }: VhdImage, changed: Partial<Header>): Piece {
  return { offset: Number(footer.dataOffset), bytes: encodeHeader({ ...header, ...changed }) };
}

/** Those of other platforms go: nobody can say that they lead to the new parent. */
function eight(locators: readonly Locator[]): Locator[] {
  return Array.from({ length: 8 }, (_, slot) => locators[slot] ?? NO_LOCATOR);
}

function textOf(code: number, name: string): Buffer {
  const text = encodeLocatorText(code === MACX || code === W2KU ? code : W2RU, `./${name}`);
  if (text.length <= LOCATOR_BYTES) return text;
  throw new RbdsrError('invalid-argument', {
    what: `the name of a parent is too long for a VHD: ${JSON.stringify(name)}`,
    expected: `at most ${LOCATOR_BYTES} bytes`,
    found: `${text.length} bytes`,
  });
}

/** Durable on return. */
export async function writePieces(io: BlockIo, pieces: readonly Piece[]): Promise<void> {
  if (pieces.some(({ offset, bytes }) => offset % SECTOR !== 0 || bytes.length % SECTOR !== 0)) {
    throw new RbdsrError('internal', { what: `what is written to ${io.name} is no whole sectors` });
  }
  for (const { offset, bytes } of pieces) await io.write(offset, bytes);
  await io.flush();
}
