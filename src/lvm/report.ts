import { RbdsrError } from '../base/error.ts';

/** One volume group as LVM describes it. All sizes and offsets are bytes. */
export interface VgReport {
  readonly name: string;
  readonly uuid: string;
  readonly sizeBytes: number;
  readonly freeBytes: number;
  readonly extentSizeBytes: number;
  /** A physical volume is missing: nothing may be written. */
  readonly partial: boolean;
  readonly pvs: readonly PvReport[];
  readonly lvs: readonly LvReport[];
}

export interface PvReport {
  readonly name: string;
  readonly sizeBytes: number;
  readonly deviceSizeBytes: number;
  /** Where extent 0 lies on the device (`pe_start`). */
  readonly dataStartBytes: number;
}

export interface LvReport {
  readonly name: string;
  readonly sizeBytes: number;
  readonly active: boolean;
  readonly open: boolean;
  readonly readOnly: boolean;
  readonly tags: readonly string[];
  /** In LV order; complete for an LV on physical extents, empty for one on none (`zero`, `error`). */
  readonly segments: readonly LvSegment[];
}

export interface LvSegment {
  /** From the start of the LV. */
  readonly startBytes: number;
  readonly lengthBytes: number;
  readonly pv: string;
  /** From the start of the PV's device. */
  readonly pvOffsetBytes: number;
  /** `linear` is the only one LVHD uses. */
  readonly type: string;
}

/** Undefined where the group has no volume of that name, and where there is no group. */
export function lvNamed(report: VgReport | undefined, name: string): LvReport | undefined {
  return report?.lvs.find((lv) => lv.name === name);
}

/** The same where there has to be one: 'lvm-missing' otherwise. */
export function existingLv(report: VgReport, name: string): LvReport {
  const lv = lvNamed(report, name);
  if (lv !== undefined) return lv;
  throw new RbdsrError('lvm-missing', { what: `there is no logical volume ${name} in ${report.name}` });
}

/**
 * The columns `pvs` is asked for: known to every LVM from 2.02.84 on. One row per run of extents, free ones included.
 */
export const REPORT_FIELDS = [
  'vg_name',
  'vg_uuid',
  'vg_attr',
  'vg_size',
  'vg_free',
  'vg_extent_size',
  'lv_count',
  'pv_name',
  'pv_size',
  'dev_size',
  'pe_start',
  'pvseg_start',
  'lv_name',
  'lv_size',
  'lv_attr',
  'lv_tags',
  'segtype',
  'seg_start',
  'seg_size',
] as const;
type Field = (typeof REPORT_FIELDS)[number];
type Row = Readonly<Record<Field, string>>;

/** The columns `lvs` is asked for of one LV: known to every LVM from 2.02.84 on. One row per segment. */
export const LV_FIELDS = [
  'vg_name',
  'vg_extent_size',
  'lv_name',
  'lv_size',
  'lv_attr',
  'lv_tags',
  'segtype',
  'seg_start',
  'seg_size',
  'devices',
] as const;
type LvRow = Readonly<Record<(typeof LV_FIELDS)[number], string>>;

/** Neither an LVM name nor a tag can hold it. */
export const SEPARATOR = '|';

/**
 * The report of volume group `vg`, or undefined where no row names it. `missingLvs` counts LVs that have no physical
 * extent and so no row. 'metadata-corrupt' for output that is not ours to understand.
 */
export function parseReport(
  vg: string,
  text: string,
): { readonly report: VgReport; readonly missingLvs: number } | undefined {
  const rows = parseRows(REPORT_FIELDS, text).filter((row) => row.vg_name === vg);
  const [first] = rows;
  if (first === undefined) return undefined;
  const extentSizeBytes = bytes(first, 'vg_extent_size');
  const lvs = lvReports(rows, extentSizeBytes);
  const report = {
    name: vg,
    uuid: first.vg_uuid,
    sizeBytes: bytes(first, 'vg_size'),
    freeBytes: bytes(first, 'vg_free'),
    extentSizeBytes,
    partial: first.vg_attr[3] === 'p',
    pvs: pvReports(rows),
    lvs,
  };
  return { report, missingLvs: bytes(first, 'lv_count') - lvs.filter((lv) => !lv.name.startsWith('[')).length };
}

/**
 * One LV of the group that `before` describes: where extents lie on a PV `lvs` does not say, and no change of LVs moves
 * it. Undefined where no row names the LV, and where its rows do not fit that group: then the whole of it has to be
 * asked for.
 */
export function parseLv(before: VgReport, name: string, text: string): LvReport | undefined {
  const rows = parseRows(LV_FIELDS, text).filter((row) => row.vg_name === before.name && row.lv_name === name);
  const [first] = rows;
  if (first === undefined || bytes(first, 'vg_extent_size') !== before.extentSizeBytes) return undefined;
  const segments: LvSegment[] = [];
  for (const row of rows) {
    const segment = segmentOf(before, row);
    if (segment === undefined) return undefined;
    segments.push(segment);
  }
  return { ...lvOf(first), segments: segments.toSorted((a, b) => a.startBytes - b.startBytes) };
}

/** `devices` is the PV and the first extent there, `/dev/rbd0(12)`. */
function segmentOf({ pvs, extentSizeBytes }: VgReport, row: LvRow): LvSegment | undefined {
  const [, device, extent] = /^(.+)\(([0-9]{1,10})\)$/.exec(row.devices) ?? [];
  const pv = pvs.find(({ name }) => name === device);
  if (pv === undefined) return undefined;
  return {
    startBytes: bytes(row, 'seg_start'),
    lengthBytes: bytes(row, 'seg_size'),
    pv: pv.name,
    pvOffsetBytes: pv.dataStartBytes + Number(extent) * extentSizeBytes,
    type: row.segtype,
  };
}

/** The rows of a `--noheadings --separator |` report. */
export function parseRows<F extends string>(fields: readonly F[], text: string): Record<F, string>[] {
  return text
    .split('\n')
    .filter((line) => line.includes(SEPARATOR))
    .map((line) => {
      const values = line.trim().split(SEPARATOR);
      if (values.length !== fields.length) {
        throw unreadable(`${fields.length} columns`, `${values.length} in ${JSON.stringify(line.slice(0, 200))}`);
      }
      return Object.fromEntries(fields.map((field, index) => [field, values[index] ?? ''])) as Record<F, string>;
    });
}

/**
 * What the ten letters of `lv_attr` say (lvs(8)). Without a device-mapper LVM prints `X`, which is neither active nor
 * open.
 */
export function parseLvAttr(attr: string): {
  readonly active: boolean;
  readonly open: boolean;
  readonly readOnly: boolean;
} {
  return { active: attr[4] === 'a', open: attr[5] === 'o', readOnly: attr[1] === 'r' || attr[1] === 'R' };
}

function pvReports(rows: readonly Row[]): PvReport[] {
  const seen = new Map<string, PvReport>();
  for (const row of rows) {
    if (seen.has(row.pv_name)) continue;
    seen.set(row.pv_name, {
      name: row.pv_name,
      sizeBytes: bytes(row, 'pv_size'),
      deviceSizeBytes: bytes(row, 'dev_size'),
      dataStartBytes: bytes(row, 'pe_start'),
    });
  }
  return [...seen.values()];
}

function lvReports(rows: readonly Row[], extentSizeBytes: number): LvReport[] {
  const byName = new Map<string, LvReport & { readonly segments: LvSegment[] }>();
  for (const row of rows) {
    if (row.lv_name === '') continue;
    let lv = byName.get(row.lv_name);
    if (lv === undefined) {
      lv = { ...lvOf(row), segments: [] };
      byName.set(row.lv_name, lv);
    }
    lv.segments.push({
      startBytes: bytes(row, 'seg_start'),
      lengthBytes: bytes(row, 'seg_size'),
      pv: row.pv_name,
      pvOffsetBytes: bytes(row, 'pe_start') + bytes(row, 'pvseg_start') * extentSizeBytes,
      type: row.segtype,
    });
  }
  for (const lv of byName.values()) lv.segments.sort((a, b) => a.startBytes - b.startBytes);
  return [...byName.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function lvOf(row: Pick<Row, 'lv_name' | 'lv_size' | 'lv_attr' | 'lv_tags'>): Omit<LvReport, 'segments'> {
  const tags = row.lv_tags === '' ? [] : row.lv_tags.split(',');
  return { name: row.lv_name, sizeBytes: bytes(row, 'lv_size'), ...parseLvAttr(row.lv_attr), tags };
}

function bytes<F extends string>(row: Readonly<Record<F, string>>, field: F): number {
  const text = row[field];
  if (/^[0-9]{1,16}$/.test(text)) return Number(text);
  throw unreadable(`a whole number in ${field}`, JSON.stringify(text));
}

function unreadable(expected: string, found: string): RbdsrError {
  return new RbdsrError('metadata-corrupt', { what: "LVM's report cannot be read", expected, found });
}
