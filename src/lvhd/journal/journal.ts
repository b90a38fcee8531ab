import type { BlockIo } from '../../base/block-io.ts';
import { RbdsrError } from '../../base/error.ts';
import { isUuid } from '../../base/ids.ts';
import type { VdiUuid } from '../../base/ids.ts';
import { SECTOR } from '../../base/units.ts';
import { escapeDm } from '../../lvm/dm-name.ts';
import type { LvReport, VgReport } from '../../lvm/report.ts';
import { JOURNAL_TAG, RESIZE_JOURNAL_TAG } from '../names.ts';

/**
 * An operation that a crash cut short, as the stock driver notes it down: a small LV whose name says it (sm
 * `journaler.py`).
 */
export interface JournalEntry {
  readonly type: string;
  /** The VDI it is about. */
  readonly id: VdiUuid;
  readonly lvName: string;
  /** The value where the name holds it; undefined where it has to be read from the LV (`readJournalValue`). */
  readonly value: string | undefined;
}

/** Types whose values are too long for a name on any real SR. */
const VALUE_IN_LV_TYPES: readonly string[] = ['clone', 'leaf'];
/** What stands in the name of an LV that holds its value inside. */
const IN_LV = '1';
/** A device-mapper name holds at most this many characters. */
const MAX_DM_NAME = 127;

/** Every journal of the volume group. 'journal' for a journal LV whose name cannot be read: stock stops there, too. */
export function listJournals(report: VgReport): JournalEntry[] {
  return report.lvs.flatMap((lv) => {
    if (lv.tags.includes(JOURNAL_TAG)) return [parseName(lv)];
    if (lv.tags.includes(RESIZE_JOURNAL_TAG)) return [parseResizeJournal(lv)];
    return [];
  });
}

export function journalsOf(report: VgReport, vdi: VdiUuid): JournalEntry[] {
  return listJournals(report).filter((entry) => entry.id === vdi);
}

/**
 * The LV of a new journal: its name, and the sectors to write at its start where the value does not fit the name, of
 * which the second is the note.
 */
export function journalLv(
  vg: string,
  type: string,
  id: VdiUuid,
  value: string,
  note = '',
): { readonly name: string; readonly content?: Buffer } {
  const name = `${type}_${id}_${value}`;
  if (escapeDm(vg).length + 1 + name.length <= MAX_DM_NAME) return { name };
  return {
    name: `${type}_${id}_${IN_LV}`,
    content: Buffer.concat([encodeJournalValue(value), encodeJournalValue(note)]),
  };
}

/** The value of an entry, from its LV where the name does not hold it. */
export async function readJournalValue(
  entry: JournalEntry,
  openLv: (lvName: string) => Promise<BlockIo>,
): Promise<string> {
  if (entry.value !== undefined) return entry.value;
  const io = await openLv(entry.lvName);
  try {
    return decodeJournalValue(await io.read(0, SECTOR), entry.lvName);
  } finally {
    await io.close();
  }
}

/**
 * What `journalLv` was given as a note; '' where there is none. What lies behind a value of stock's may be anything.
 */
export async function readJournalNote(
  entry: JournalEntry,
  openLv: (lvName: string) => Promise<BlockIo>,
): Promise<string> {
  if (entry.value !== undefined) return '';
  const io = await openLv(entry.lvName);
  try {
    const [, length, text = ''] = /^([0-9]{1,3}) (.*)$/s.exec((await io.read(SECTOR, SECTOR)).toString('latin1')) ?? [];
    return text.slice(0, Number(length ?? 0));
  } finally {
    await io.close();
  }
}

/** `<length> <value>`, padded with spaces to a sector. */
export function encodeJournalValue(value: string): Buffer {
  const text = Buffer.from(`${Buffer.byteLength(value)} ${value}`);
  if (text.length > SECTOR)
    throw new RbdsrError('internal', { what: `journal value of ${text.length} bytes is too long` });
  return Buffer.concat([text, Buffer.alloc(SECTOR - text.length, 0x20)]);
}

export function decodeJournalValue(sector: Buffer, lvName: string): string {
  const [, digits, rest] = /^([0-9]{1,3}) (.*)$/s.exec(sector.toString('latin1')) ?? [];
  const length = Number(digits);
  if (rest === undefined || rest.length < length) {
    throw new RbdsrError('journal', {
      what: `journal ${lvName} holds no value`,
      expected: '"<length> <value>" at the start of the LV',
      found: JSON.stringify(sector.toString('latin1', 0, 60).trimEnd()),
      todo: 'The operation was cut short before it changed anything, or the LV is damaged: look at the SR before removing it.',
    });
  }
  return rest.slice(0, length);
}

function parseName(lv: LvReport): JournalEntry {
  const [type, id, ...rest] = lv.name.split('_');
  if (type === undefined || type === '' || id === undefined || !isUuid(id) || rest.length === 0) {
    throw new RbdsrError('journal', {
      what: `logical volume ${lv.name} is tagged as a journal but has no journal's name`,
      expected: '<type>_<uuid>_<value>',
      todo: 'Find out what made it; the stock driver refuses this SR as well.',
    });
  }
  const value = rest.join('_');
  const inLv = VALUE_IN_LV_TYPES.includes(type) && value === IN_LV;
  return { type, id: id as VdiUuid, lvName: lv.name, value: inLv ? undefined : value };
}

function parseResizeJournal(lv: LvReport): JournalEntry {
  const [, id] = /^jvhd_(.+)$/.exec(lv.name) ?? [];
  if (id !== undefined && isUuid(id)) return { type: 'jvhd', id: id as VdiUuid, lvName: lv.name, value: '' };
  throw new RbdsrError('journal', {
    what: `logical volume ${lv.name} is tagged as a resize journal but has no such name`,
    expected: 'jvhd_<uuid>',
  });
}
