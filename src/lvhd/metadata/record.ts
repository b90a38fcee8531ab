import { RbdsrError } from '../../base/error.ts';
import { SECTOR } from '../../base/units.ts';
import { metadataCorrupt, RECORD_BYTES, RECORDS_OFFSET } from './layout.ts';
import { element, escapeText, padded, parseElements, truncateEscaped } from './text.ts';

/** What the metadata volume keeps of a VDI. */
export interface VdiMetadata {
  readonly uuid: string;
  readonly nameLabel: string;
  readonly nameDescription: string;
  readonly isASnapshot: boolean;
  /** A uuid, or empty. */
  readonly snapshotOf: string;
  /** `YYYYMMDDTHH:MM:SSZ`, or empty. */
  readonly snapshotTime: string;
  /** xapi's VDI.type. */
  readonly type: string;
  /** `vhd` or `aio`; a newer stock driver also writes `qcow2`. */
  readonly vdiType: string;
  readonly readOnly: boolean;
  readonly managed: boolean;
  /** An OpaqueRef, or empty. */
  readonly metadataOfPool: string;
}

/** A record as it lies on the volume. */
export interface MetadataRecord extends VdiMetadata {
  readonly offset: number;
  readonly deleted: boolean;
}

/** Escaped label and description together; beyond it each is cut to half. */
const NAMES_ROOM = 445;
const NAME_ROOM_WHEN_LONG = 222;

/**
 * The two sectors of a record. `offset` adds the element that stock writes when it rewrites a record it has read; a
 * record appended for the first time has none. Order of elements as Python 3 writes them.
 */
export function encodeRecord(
  vdi: VdiMetadata,
  options: { readonly deleted: boolean; readonly offset?: number },
): Buffer {
  const fields = [
    element('uuid', escapeText(vdi.uuid)),
    element('is_a_snapshot', flag(vdi.isASnapshot)),
    element('snapshot_of', escapeText(vdi.snapshotOf)),
    element('snapshot_time', escapeText(vdi.snapshotTime)),
    element('type', escapeText(vdi.type)),
    element('vdi_type', escapeText(vdi.vdiType)),
    element('read_only', flag(vdi.readOnly)),
    element('managed', flag(vdi.managed)),
    element('metadata_of_pool', escapeText(vdi.metadataOfPool)),
    element('deleted', flag(options.deleted)),
    options.offset === undefined ? '' : element('offset', String(options.offset)),
  ].join('');
  const names = padded(`<vdi>${encodeNames(vdi)}`, SECTOR);
  const rest = padded(`${fields}</vdi>`, SECTOR);
  if (names !== undefined && rest !== undefined) return Buffer.concat([names, rest]);
  throw new RbdsrError('invalid-argument', {
    what: `the metadata of VDI ${vdi.uuid} does not fit its record`,
    expected: `at most ${SECTOR} bytes`,
    found: `${Buffer.byteLength(fields)} bytes`,
  });
}

/** 'metadata-corrupt' names the record and its offset. */
export function decodeRecord(bytes: Buffer, offset: number): MetadataRecord {
  const part = `record ${(offset - RECORDS_OFFSET) / RECORD_BYTES}`;
  const text = bytes.toString('utf8');
  const shown = () => JSON.stringify(text.slice(0, 120).trimEnd());
  const [, inner] = /^[\s\0]*<vdi>(.*)<\/vdi>[\s\0]*$/s.exec(text) ?? [];
  const elements = inner === undefined ? undefined : parseElements(inner);
  if (elements === undefined) throw metadataCorrupt(part, offset, '<vdi> with flat XML', shown());
  const get = (tag: string): string => {
    const value = elements.get(tag);
    if (value === undefined) throw metadataCorrupt(part, offset, `an element ${tag}`, shown());
    return value;
  };
  const bool = (tag: string): boolean => {
    const value = get(tag);
    if (!/^[0-9]$/.test(value))
      throw metadataCorrupt(part, offset, `0 or 1 in ${tag}`, JSON.stringify(value.slice(0, 20)));
    return value !== '0';
  };
  return {
    offset,
    deleted: bool('deleted'),
    uuid: get('uuid'),
    nameLabel: get('name_label'),
    nameDescription: get('name_description'),
    isASnapshot: bool('is_a_snapshot'),
    snapshotOf: get('snapshot_of'),
    snapshotTime: get('snapshot_time'),
    type: get('type'),
    vdiType: get('vdi_type'),
    readOnly: bool('read_only'),
    managed: bool('managed'),
    metadataOfPool: get('metadata_of_pool'),
  };
}

function encodeNames(vdi: VdiMetadata): string {
  let label = escapeText(vdi.nameLabel);
  let description = escapeText(vdi.nameDescription);
  if (Buffer.byteLength(label) + Buffer.byteLength(description) > NAMES_ROOM) {
    label = truncateEscaped(label, NAME_ROOM_WHEN_LONG);
    description = truncateEscaped(description, NAME_ROOM_WHEN_LONG);
  }
  return element('name_label', label) + element('name_description', description);
}

function flag(value: boolean): string {
  return value ? '1' : '0';
}
