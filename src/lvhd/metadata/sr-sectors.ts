import { RbdsrError } from '../../base/error.ts';
import { SECTOR } from '../../base/units.ts';
import { metadataCorrupt, SR_OFFSET } from './layout.ts';
import { element, escapeText, padded, parseElements, truncateEscaped } from './text.ts';

export interface SrMetadata {
  readonly uuid: string;
  readonly allocation: 'thick' | 'thin';
  readonly nameLabel: string;
  readonly nameDescription: string;
}

const DECLARATION = '<?xml version="1.0" ?>';

/** Sectors 1 to 3. */
export function encodeSr(sr: SrMetadata): Buffer {
  const identity = padded(`${DECLARATION}${element('uuid', sr.uuid)}${element('allocation', sr.allocation)}`, SECTOR);
  if (identity === undefined) throw new RbdsrError('internal', { what: 'SR identity does not fit a sector' });
  return Buffer.concat([identity, encodeSrNames(sr)]);
}

/** Sectors 2 and 3: stock rewrites them together. */
export function encodeSrNames(names: Pick<SrMetadata, 'nameLabel' | 'nameDescription'>): Buffer {
  return Buffer.concat([
    nameSector('name_label', names.nameLabel),
    nameSector('name_description', names.nameDescription),
  ]);
}

/** 'metadata-corrupt' where sectors 1 to 3 are not what `encodeSr` gives, in any order of elements. */
export function decodeSr(sectors: Buffer): SrMetadata {
  const text = sectors.toString('utf8');
  const found = () => JSON.stringify(text.slice(0, 120).trimEnd());
  const elements = parseElements(text.startsWith(DECLARATION) ? text.slice(DECLARATION.length) : text);
  if (elements === undefined) throw metadataCorrupt('SR sectors', SR_OFFSET, 'flat XML', found());
  const uuid = elements.get('uuid');
  const allocation = elements.get('allocation');
  if (uuid === undefined || (allocation !== 'thick' && allocation !== 'thin')) {
    throw metadataCorrupt('SR sectors', SR_OFFSET, 'a uuid and an allocation of thick or thin', found());
  }
  return {
    uuid,
    allocation,
    nameLabel: elements.get('name_label') ?? '',
    nameDescription: elements.get('name_description') ?? '',
  };
}

/** At most 487 bytes of escaped label, 475 of escaped description. */
function nameSector(tag: 'name_label' | 'name_description', name: string): Buffer {
  const room = SECTOR - 2 * tag.length - '<></>'.length;
  const sector = padded(element(tag, truncateEscaped(escapeText(name), room)), SECTOR);
  if (sector === undefined) throw new RbdsrError('internal', { what: `${tag} does not fit a sector` });
  return sector;
}
