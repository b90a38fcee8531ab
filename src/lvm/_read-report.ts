import { lvmCommand, succeeded } from './_command.ts';
import type { LvmCommandContext } from './_command.ts';
import { lvmFailure } from './_failures.ts';
import { parseReport, parseRows, REPORT_FIELDS, SEPARATOR } from './report.ts';
import type { VgReport } from './report.ts';

/**
 * The report of a volume group, or undefined where the device holds no such one. One `pvs`, which names every LV that has an extent;
 * only where the VG counts more LVs than that, one `lvs` for the rest.
 */
export async function readReport(context: LvmCommandContext, vg: string): Promise<VgReport | undefined> {
  const parsed = parseReport(vg, await reportText(context, 'pvs', REPORT_FIELDS, []));
  if (parsed === undefined || parsed.missingLvs === 0) return parsed?.report;
  const known = new Set(parsed.report.lvs.map((lv) => lv.name));
  const rows = await reportRows(context, 'lvs', ['lv_name', 'lv_size'], [vg]);
  const withoutExtents = rows
    .filter((row) => !known.has(row.lv_name))
    .map((row) => ({
      name: row.lv_name,
      sizeBytes: Number(row.lv_size),
      active: false,
      open: false,
      readOnly: false,
      tags: [],
      segments: [],
    }));
  return { ...parsed.report, lvs: [...parsed.report.lvs, ...withoutExtents] };
}

/** The rows of any other report, by column. */
export async function reportRows<F extends string>(
  context: LvmCommandContext,
  command: 'pvs' | 'lvs',
  fields: readonly F[],
  args: readonly string[] = [],
): Promise<Record<F, string>[]> {
  return parseRows(fields, await reportText(context, command, fields, args));
}

/** 'sr-unavailable' where LVM cannot answer. */
async function reportText(
  context: LvmCommandContext,
  command: string,
  fields: readonly string[],
  args: readonly string[],
): Promise<string> {
  const format = ['--noheadings', '--nosuffix', '--units', 'b', '--separator', SEPARATOR, '-o', fields.join(',')];
  const outcome = await lvmCommand(context, command, [...format, ...args]);
  if (succeeded(outcome)) return outcome.stdout;
  throw lvmFailure('sr-unavailable', `LVM cannot report what is on ${context.device}`, outcome);
}
