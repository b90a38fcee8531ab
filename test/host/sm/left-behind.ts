import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { stringOf } from '../../../lab/xapi-double/database.ts';
import { MiB } from '../../../src/base/units.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import {
  decodeMgtHeader,
  MGT_HEADER_BYTES,
  RECORD_BYTES,
  RECORDS_OFFSET,
  SR_OFFSET,
} from '../../../src/lvhd/metadata/layout.ts';
import { MetadataVolume } from '../../../src/lvhd/metadata/metadata-volume.ts';
import { decodeRecord } from '../../../src/lvhd/metadata/record.ts';
import { decodeSr } from '../../../src/lvhd/metadata/sr-sectors.ts';
import { cbtLogs } from '../../../src/lvhd/cbt-log.ts';
import { CBT_LOG, DELETED_TAG, HIDDEN_TAG, isUnfinished } from '../../../src/lvhd/names.ts';
import { openVhd } from '../../../src/lvhd/open-vhd.ts';
import { fullVhdLvSize } from '../../../src/lvhd/sizes.ts';
import type { LvReport, VgReport } from '../../../src/lvm/report.ts';
import { FOOTER_BYTES } from '../../../src/vhd/format/footer.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import type { PoolWithDisk } from './pool-with-disk.ts';

/** All that there is of the disk that a killed call was about: on the disk, in LVM and in xapi. */
interface Remains {
  /** Its volume, and what is in it. */
  readonly volume: 'none' | 'blank, of no disk' | 'of no disk' | 'whole' | 'hidden' | 'hidden, marked';
  /** Whether the metadata volume has a record of it. */
  readonly metadata: boolean;
  readonly xapi: boolean;
  /** Whether the SR's totals in xapi are those of LVM. */
  readonly totals: 'right' | 'old';
}

/** How the disk that a call grows by GROWTH stands: each part of it as before, or as it is to be. */
interface Growth {
  readonly journal: boolean;
  readonly volume: 'old' | 'new';
  /** The last sector of its volume; `other` is what lay there before the volume grew. */
  readonly end: 'footer' | 'zeroes' | 'other';
  readonly disk: 'old' | 'new';
  readonly xapi: 'old' | 'new';
}

export const GROWTH = 4 * MiB;

type Look = (made: PoolWithDisk, bytes: number) => Promise<void>;

/** What each `leaves` of a step looks like (src/base/steps.ts), by its id: nothing more and nothing less. */
export const leftBehind: Readonly<Record<string, Look>> = {
  'new-volume-blank': are({ volume: 'blank, of no disk', metadata: false, xapi: false, totals: 'old' }),
  'new-volume-vhd': are({ volume: 'of no disk', metadata: false, xapi: false, totals: 'old' }),
  'volume-only': are({ volume: 'whole', metadata: false, xapi: false, totals: 'old' }),
  'volume-and-metadata': are({ volume: 'whole', metadata: true, xapi: false, totals: 'old' }),
  disk: are({ volume: 'whole', metadata: true, xapi: true, totals: 'old' }),
  hidden: are({ volume: 'hidden', metadata: true, xapi: true, totals: 'right' }),
  'hidden-marked': are({ volume: 'hidden, marked', metadata: true, xapi: true, totals: 'right' }),
  'hidden-without-metadata': are({ volume: 'hidden, marked', metadata: false, xapi: true, totals: 'right' }),
  'hidden-volume-only': are({ volume: 'hidden, marked', metadata: false, xapi: false, totals: 'right' }),
  totals: are({ volume: 'none', metadata: false, xapi: false, totals: 'old' }),
  'journal-only': grows({ journal: true, volume: 'old', end: 'footer', disk: 'old', xapi: 'old' }),
  'grown-over-old-data': grows({ journal: true, volume: 'new', end: 'other', disk: 'old', xapi: 'old' }),
  'grown-without-end': grows({ journal: true, volume: 'new', end: 'zeroes', disk: 'old', xapi: 'old' }),
  'grown-journalled': grows({ journal: true, volume: 'new', end: 'footer', disk: 'old', xapi: 'old' }),
  'small-vhd-in-grown-volume': grows({ journal: false, volume: 'new', end: 'footer', disk: 'old', xapi: 'old' }),
  'grown-vhd': grows({ journal: false, volume: 'new', end: 'footer', disk: 'new', xapi: 'old' }),
  'hidden-without-log': async (made, bytes) => {
    await are({ volume: 'hidden, marked', metadata: true, xapi: true, totals: 'old' })(made, bytes);
    expect(await logs(made)).toEqual([]);
  },
  'log-without-parent': async (made, bytes) => {
    await grows({ journal: false, volume: 'old', end: 'footer', disk: 'old', xapi: 'old' })(made, bytes);
    expect(await logs(made)).toHaveLength(1);
  },
  'no-log': async (made, bytes) => {
    await grows({ journal: false, volume: 'old', end: 'footer', disk: 'old', xapi: 'old' })(made, bytes);
    expect([await logs(made), made.others()[0]?.fields['cbt_enabled']]).toEqual([[], true]);
  },
  'metadata-volume-unnamed': async ({ pool: { sr } }) => {
    const names = (await sr.report()).lvs.map(({ name }) => name);
    expect(names.filter((name) => name === 'MGT' || isUnfinished(name))).toEqual([expect.stringMatching(/^new_/)]);
  },
  'metadata-volume-empty': async ({ pool: { sr } }) => {
    const io = await sr.openLv('MGT', 'read');
    expect((await io.read(0, 512)).every((byte) => byte === 0)).toBe(true);
  },
  'metadata-cleared': async (made) => expect(await metadataOf(made)).toEqual({ header: 'none', body: 'other' }),
  'metadata-uncounted': async (made) => expect(await metadataOf(made)).toEqual({ header: 'none', body: 'whole' }),
  'record-uncounted': async (made, bytes) => {
    await are({ volume: 'whole', metadata: false, xapi: false, totals: 'old' })(made, bytes);
    expect(await recordAt(made, 'behind the length')).toMatchObject({ deleted: false, vdiType: 'vhd' });
  },
  'record-deleted': async (made, bytes) => {
    await are({ volume: 'hidden, marked', metadata: false, xapi: true, totals: 'right' })(made, bytes);
    expect(await recordAt(made, 'last')).toMatchObject({ deleted: true, vdiType: 'vhd' });
  },
  'grown-raw-volume': async (made, bytes) => {
    const { lv } = await theVolume(made);
    expect([lv?.sizeBytes, made.others()[0]?.fields['virtual_size']]).toEqual([bytes + GROWTH, bytes]);
  },
};

function are(expected: Remains): Look {
  return async (made, bytes) => expect(await remains(made, bytes)).toEqual(expected);
}

function grows(expected: Growth): Look {
  return async (made, bytes) => expect(await growth(made, bytes)).toEqual(expected);
}

/** Of the one disk beside the kept one, of this many bytes: what a volume held before has another size. */
async function remains(made: PoolWithDisk, bytes: number): Promise<Remains> {
  const { sr, double, srRef } = made.pool;
  const own = stringOf(made.kept, 'uuid');
  const { report, lv } = await theVolume(made);
  const { vdis } = await new MetadataVolume(await sr.openLv('MGT', 'read')).read();
  const used = Number(double.db.get('SR', srRef).fields['physical_utilisation']);
  return {
    volume: lv === undefined ? 'none' : await volumeOf(made, lv, bytes),
    metadata: vdis.some(({ uuid }) => uuid !== own),
    xapi: made.others().length > 0,
    totals: used === report.sizeBytes - report.freeBytes ? 'right' : 'old',
  };
}

async function growth(made: PoolWithDisk, bytes: number): Promise<Growth> {
  const { sr } = made.pool;
  const { report, lv } = await theVolume(made);
  if (lv === undefined) throw new Error('the disk has no volume');
  const io = await sr.openLv(lv.name, 'read');
  const [start, end] = [await io.read(0, FOOTER_BYTES), await io.read(io.size - FOOTER_BYTES, FOOTER_BYTES)];
  const which = (found: unknown, old: number, grown: number): 'old' | 'new' => {
    expect([old, grown]).toContain(found);
    return found === old ? 'old' : 'new';
  };
  return {
    journal: listJournals(report).length > 0,
    volume: which(lv.sizeBytes, fullVhdLvSize(bytes), fullVhdLvSize(bytes + GROWTH)),
    end: end.equals(start) ? 'footer' : end.every((byte) => byte === 0) ? 'zeroes' : 'other',
    disk: which((await openVhd(io, 'read')).virtualSizeBytes, bytes, bytes + GROWTH),
    xapi: which(made.others()[0]?.fields['virtual_size'], bytes, bytes + GROWTH),
  };
}

async function logs(made: PoolWithDisk): Promise<string[]> {
  return cbtLogs(await made.pool.sr.report());
}

/** What the metadata volume holds, byte by byte: no reader takes it without a header. */
async function metadataOf(made: PoolWithDisk): Promise<{ readonly header: 'none' | 'other'; readonly body: unknown }> {
  const { sr, double, srRef } = made.pool;
  const area = await (await sr.openLv('MGT', 'read')).read(0, RECORDS_OFFSET + RECORD_BYTES);
  const names = (): string[] => [
    decodeSr(area.subarray(SR_OFFSET, RECORDS_OFFSET)).uuid,
    decodeRecord(area.subarray(RECORDS_OFFSET), RECORDS_OFFSET).uuid,
  ];
  const wanted = [stringOf(double.db.get('SR', srRef), 'uuid'), stringOf(made.kept, 'uuid')];
  return {
    header: area.subarray(0, MGT_HEADER_BYTES).every((byte) => byte === 0) ? 'none' : 'other',
    body: isDeepStrictEqual(orUndefined(names), wanted) ? 'whole' : 'other',
  };
}

/** The record of the one disk beside the kept one. */
async function recordAt(made: PoolWithDisk, where: 'last' | 'behind the length') {
  const io = await made.pool.sr.openLv('MGT', 'read');
  const length = decodeMgtHeader(await io.read(0, MGT_HEADER_BYTES), io.size);
  const offset = where === 'last' ? length - RECORD_BYTES : length;
  const record = decodeRecord(await io.read(offset, RECORD_BYTES), offset);
  expect((await theVolume(made)).lv?.name).toBe(`VHD-${record.uuid}`);
  return record;
}

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

async function theVolume(
  made: PoolWithDisk,
): Promise<{ readonly report: VgReport; readonly lv: LvReport | undefined }> {
  const own = stringOf(made.kept, 'uuid');
  const report = await made.pool.sr.report();
  const journals = listJournals(report).map(({ lvName }) => lvName);
  const isAside = (name: string): boolean => name === 'MGT' || name.endsWith(CBT_LOG) || journals.includes(name);
  const lvs = report.lvs.filter(({ name }) => !name.includes(own) && !isAside(name));
  if (lvs.length > 1) throw new Error(`more than one volume: ${lvs.map(({ name }) => name).join(', ')}`);
  return { report, lv: lvs[0] };
}

async function volumeOf(made: PoolWithDisk, lv: LvReport, bytes: number): Promise<Remains['volume']> {
  const isRaw = lv.name.startsWith('LV-');
  const vhd = isRaw ? { sound: false, hidden: false } : await vhdOf(made, lv, bytes);
  if (isUnfinished(lv.name)) return vhd.sound ? 'of no disk' : 'blank, of no disk';
  if (!isRaw && !vhd.sound) throw new Error(`${lv.name} holds no sound VHD of ${bytes} bytes`);
  if (!vhd.hidden && !lv.tags.includes(HIDDEN_TAG)) return 'whole';
  return lv.tags.includes(DELETED_TAG) ? 'hidden, marked' : 'hidden';
}

async function vhdOf(made: PoolWithDisk, { name }: LvReport, bytes: number) {
  const io = await made.pool.sr.openLv(name, 'read');
  try {
    const { virtualSizeBytes, hidden } = await openVhd(io, 'read');
    return { sound: virtualSizeBytes === bytes && (await checkVhd(io)).length === 0, hidden };
  } catch {
    return { sound: false, hidden: false };
  }
}
