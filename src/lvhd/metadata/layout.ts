import { RbdsrError } from '../../base/error.ts';
import { SECTOR } from '../../base/units.ts';
import { padded } from './text.ts';

/**
 * The metadata volume, format 1.2 (sm `srmetadata.py`), the LV named MGT. In file order, every part padded with spaces:
 *
 *     0              512   header: "XSSM:" length ":1:2"; length counts the bytes in use from offset 0
 *     512            512   SR: uuid and allocation
 *     1024           512   SR: name_label
 *     1536           512   SR: name_description
 *     2048 + 1024 n  512   record n, names
 *     2560 + 1024 n  512   record n, everything else
 *
 * What lies beyond the length is undefined.
 */
export const MGT_HEADER_BYTES = SECTOR;
export const SR_OFFSET = SECTOR;
export const SR_NAMES_OFFSET = 2 * SECTOR;
export const RECORDS_OFFSET = 4 * SECTOR;
export const RECORD_BYTES = 2 * SECTOR;

const MAGIC = 'XSSM';
const MAJOR = '1';
const MINOR = '2';

export function encodeMgtHeader(length: number): Buffer {
  const header = padded(`${MAGIC}:${String(length).padEnd(10)}:${MAJOR}:${MINOR}`, MGT_HEADER_BYTES);
  if (header === undefined)
    throw new RbdsrError('internal', { what: `metadata length ${length} does not fit its header` });
  return header;
}

/** The length in use. 'metadata-corrupt' names what is wrong; `volumeSize` in bytes. */
export function decodeMgtHeader(sector: Buffer, volumeSize: number): number {
  if (sector.every((byte) => byte === 0))
    throw metadataCorrupt('header', 0, 'a header', 'only zeroes (an empty header)');
  const fields = sector.toString('latin1').replaceAll('\0', '').trim().split(':');
  const [magic, lengthText, major, minor] = fields.map((field) => field.trim());
  const shown = JSON.stringify(sector.toString('latin1', 0, 32).trimEnd());
  if (fields.length !== 4 || magic !== MAGIC) throw metadataCorrupt('header', 0, '"XSSM:<length>:1:2"', shown);
  if (major !== MAJOR || minor !== MINOR) throw metadataCorrupt('header', 0, 'format 1.2', `format ${major}.${minor}`);
  const length = /^[0-9]{1,10}$/.test(lengthText ?? '') ? Number(lengthText) : Number.NaN;
  const whole = length >= RECORDS_OFFSET && (length - RECORDS_OFFSET) % RECORD_BYTES === 0;
  if (!whole || length > volumeSize)
    throw metadataCorrupt('header', 0, `a length of whole records within ${volumeSize} bytes`, shown);
  return length;
}

/** `part` is "header", "SR sectors" or "record 3". */
export function metadataCorrupt(part: string, offset: number, expected: string, found: string): RbdsrError {
  return new RbdsrError('metadata-corrupt', {
    what: `the metadata volume is damaged: ${part} at byte ${offset}`,
    expected,
    found,
    facts: { part, offset },
  });
}
