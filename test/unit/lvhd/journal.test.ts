import { describe, expect, it } from 'vitest';
import { vdiUuid } from '../../../src/base/ids.ts';
import {
  decodeJournalValue,
  encodeJournalValue,
  journalLv,
  journalsOf,
  listJournals,
  readJournalNote,
  readJournalValue,
} from '../../../src/lvhd/journal/journal.ts';
import { refuseUnfinished } from '../../../src/lvhd/journal/recover.ts';
import type { LvReport, VgReport } from '../../../src/lvm/report.ts';
import { memoryIo } from '../../support/lvhd-memory-io.ts';

const VG = 'VG_XenStorage-11111111-2222-3333-4444-555555555555';
const A = vdiUuid('aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee');
const B = vdiUuid('bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee');

function lv(name: string, ...tags: string[]): LvReport {
  return { name, sizeBytes: 4_194_304, active: false, open: false, readOnly: false, tags, segments: [] };
}
function vg(...lvs: LvReport[]): VgReport {
  return { name: VG, uuid: 'u', sizeBytes: 1, freeBytes: 1, extentSizeBytes: 4_194_304, partial: false, pvs: [], lvs };
}

describe('journals', () => {
  it('are the LVs with a journal tag, whatever others are called', () => {
    const report = vg(
      lv(`inflate_${A}_25165824`, 'journaler'),
      lv(`clone_${B}_1`, 'journaler'),
      lv(`jvhd_${A}`, 'jvhd'),
      lv(`coalesce_${A}_1`),
      lv('MGT'),
    );
    expect(listJournals(report)).toEqual([
      { type: 'inflate', id: A, lvName: `inflate_${A}_25165824`, value: '25165824' },
      { type: 'clone', id: B, lvName: `clone_${B}_1`, value: undefined },
      { type: 'jvhd', id: A, lvName: `jvhd_${A}`, value: '' },
    ]);
    expect(journalsOf(report, A).map((entry) => entry.type)).toEqual(['inflate', 'jvhd']);
  });

  it('a clone journal of XenServer 6.5 has its value in the name', () => {
    expect(listJournals(vg(lv(`clone_${A}_${B}_x`, 'journaler')))).toMatchObject([{ value: `${B}_x` }]);
  });

  it.each([`inflate_${A}`, 'inflate_x_1', 'strange'])('%s with the tag stops everything', (name) => {
    expect(() => listJournals(vg(lv(name, 'journaler')))).toThrow(expect.objectContaining({ code: 'journal' }));
  });

  it('values that make the device-mapper name too long go inside', async () => {
    expect(journalLv(VG, 'inflate', A, '25165824')).toEqual({ name: `inflate_${A}_25165824` });
    const inside = journalLv(VG, 'clone', A, `${B}_${A}`);
    expect(inside.name).toBe(`clone_${A}_1`);
    expect(inside.content?.toString('latin1')).toBe(`73 ${B}_${A}`.padEnd(512) + '0 '.padEnd(512));
    const io = memoryIo(4096);
    await io.write(0, inside.content ?? Buffer.alloc(0));
    const [entry] = listJournals(vg(lv(inside.name, 'journaler')));
    if (entry === undefined) throw new Error('no entry');
    expect(await readJournalValue(entry, async () => io)).toBe(`${B}_${A}`);
    expect(await readJournalNote(entry, async () => io)).toBe('');
    await io.write(0, journalLv(VG, 'clone', A, `${B}_${A}`, 'a note').content ?? Buffer.alloc(0));
    expect(await readJournalNote(entry, async () => io)).toBe('a note');
    // Behind a value of stock's lies what lay there before.
    await io.write(512, Buffer.alloc(512, 0xff));
    expect(await readJournalNote(entry, async () => io)).toBe('');
  });

  it('the limit is 127 characters with the dashes of the VG doubled', () => {
    const room = 127 - 55 - 1;
    expect(journalLv(VG, 'x', A, '9'.repeat(room - 39)).content).toBeUndefined();
    expect(journalLv(VG, 'x', A, '9'.repeat(room - 38)).content).toBeDefined();
  });

  it('an LV without a value is named', () => {
    expect(decodeJournalValue(encodeJournalValue('a b'), 'x')).toBe('a b');
    expect(() => decodeJournalValue(Buffer.alloc(512), `clone_${A}_1`)).toThrow(/clone_aaaaaaaa.* holds no value/);
    expect(() => decodeJournalValue(Buffer.from('900 abc'), 'x')).toThrow(expect.objectContaining({ code: 'journal' }));
  });

  it.each(['zero', 'someday'])('an open %s journal refuses changes', (type) => {
    const report = vg(lv(`inflate_${A}_1`, 'journaler'), lv(`${type}_${B}_1`, 'journaler'));
    expect(() => refuseUnfinished(report)).toThrow(
      expect.objectContaining({ code: 'journal', message: expect.stringContaining(`${type}_${B}_1`) }),
    );
    expect(() => refuseUnfinished(report, () => true)).not.toThrow();
    // Recovering the one kind does not hide the other.
    expect(() => refuseUnfinished(report, (entry) => entry.type !== type)).toThrow(type);
  });

  it.each(['coalesce', 'relink'])('an open %s journal, which the collector goes on with, refuses none', (type) => {
    expect(() => refuseUnfinished(vg(lv(`${type}_${B}_1`, 'journaler')))).not.toThrow();
  });
});
