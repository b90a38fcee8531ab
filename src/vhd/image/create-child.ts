import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { firstLocatorOffset, maxBatEntries, type NewVhd, writeNewImage } from './create.ts';
import { DIFFERENCING, timestampField } from '../format/footer.ts';
import { newHeader, NO_UUID } from '../format/header.ts';
import { encodeLocatorText, type Locator, LOCATOR_BYTES, MACX, W2KU, W2RU } from '../format/locator.ts';

const CODES = [MACX, W2KU, W2RU] as const;

export interface NewParent {
  /**
   * Last component of the canonical path, in the same directory as the child: in an SR the device-mapper name, such as
   * `VG_XenStorage--...-VHD--...`.
   */
  readonly name: string;
  /** The uuid in the parent's footer; absent for a raw parent. */
  readonly uuid?: string;
  /** Modification time of the parent; a number is in seconds since 2000. */
  readonly modified: Date | number;
}

/**
 * Writes an empty differencing disk over all of `io`, as `vhd-util snapshot` does: the parent's name in the header and
 * in three locators. The virtual size is the parent's. 'invalid-argument' where the name is too long for a locator;
 * 'vdi-size' as for `createVhd`.
 */
export async function createChild(io: BlockIo, child: NewVhd, parent: NewParent): Promise<void> {
  const entries = maxBatEntries(child);
  const texts = CODES.map((code) => encodeLocatorText(code, `./${parent.name}`));
  if (texts.some((text) => text.length > LOCATOR_BYTES)) {
    throw new RbdsrError('invalid-argument', {
      what: `the name of a parent is too long for a VHD: ${JSON.stringify(parent.name)}`,
      expected: `at most ${LOCATOR_BYTES} bytes in UTF-16`,
    });
  }
  const start = firstLocatorOffset(newHeader(entries));
  const locators = CODES.map(
    (code, slot): Locator => ({
      code,
      space: LOCATOR_BYTES,
      length: texts[slot]?.length ?? 0,
      reserved: 0,
      offset: start + slot * LOCATOR_BYTES,
    }),
  );
  const header = newHeader(entries, {
    name: parent.name,
    parentUuid: parent.uuid ?? NO_UUID,
    parentTimestamp: timestampField(parent.modified),
    locators,
  });
  await writeNewImage(io, child, DIFFERENCING, header, texts);
}
