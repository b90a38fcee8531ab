import { RbdsrError } from '../base/error.ts';
import { type RunOutcome, succeeded } from '../system/run.ts';
import { complaint, lvmCommand } from './_command.ts';
import type { LvmCommandContext } from './_command.ts';
import { lvmFailure } from './_failures.ts';
import { labelOf } from './_label.ts';
import { LV_FIELDS, parseLv, parseReport, parseRows, REPORT_FIELDS, SEPARATOR } from './report.ts';
import type { LvReport, VgReport } from './report.ts';

/**
 * The report of a volume group, or undefined where the device holds no such one. One `pvs`, which names every LV that
 * has an extent; only where the VG counts more LVs than that, one `lvs` for the rest. `pvs` is told the device: asked
 * for all there is, LVM 2.02.178 to .186 prints the right rows where metadata are read-only, and exits 5
 * (docs/decisions/0009-one-pvs-report.md). 'sr-unavailable' where LVM cannot answer.
 */
export async function readReport(context: LvmCommandContext, vg: string): Promise<VgReport | undefined> {
  const outcome = await askFor(context, 'pvs', REPORT_FIELDS, context.device);
  const parsed = succeeded(outcome) ? parseReport(vg, outcome.stdout) : undefined;
  if (parsed === undefined) await refuseUnlessAbsent(context, vg, outcome);
  if (parsed === undefined || parsed.missingLvs === 0) return parsed?.report;
  const known = new Set(parsed.report.lvs.map((lv) => lv.name));
  const withoutExtents = (await rowsOfLvs(context, vg))
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

/**
 * One LV after a change, in one command that looks at no other. Undefined where LVM does not tell of it: then the whole
 * report has to say why.
 */
export async function readLv(
  context: LvmCommandContext,
  before: VgReport,
  name: string,
): Promise<LvReport | undefined> {
  const outcome = await askFor(context, 'lvs', LV_FIELDS, `${before.name}/${name}`);
  return succeeded(outcome) ? parseLv(before, name, outcome.stdout) : undefined;
}

/**
 * For a device without a PV every LVM exits 5, some for a PV without a VG, and for a damaged one some exit 0 and name
 * no VG. So the label decides: only one that can be read, and that names another volume group or none, says that there
 * is no such one.
 */
async function refuseUnlessAbsent(context: LvmCommandContext, vg: string, outcome: RunOutcome): Promise<void> {
  const label = await labelOf(context.device);
  if (label === undefined || (label.damage === undefined && label.vgName !== vg)) return;
  const facts = { program: 'lvm', command: 'pvs', device: context.device };
  throw new RbdsrError('sr-unavailable', {
    what: `LVM cannot report what is on ${context.device}`,
    expected: `volume group ${vg}${label.damage === undefined ? ', which its label names' : ''}`,
    found: [complaint(outcome), ...(label.damage === undefined ? [] : [label.damage])].join(' / '),
    facts,
  });
}

async function rowsOfLvs(context: LvmCommandContext, vg: string): Promise<Record<'lv_name' | 'lv_size', string>[]> {
  const fields = ['lv_name', 'lv_size'] as const;
  const outcome = await askFor(context, 'lvs', fields, vg);
  if (succeeded(outcome)) return parseRows(fields, outcome.stdout);
  throw lvmFailure('sr-unavailable', `LVM cannot report what is on ${context.device}`, outcome);
}

function askFor(
  context: LvmCommandContext,
  command: string,
  fields: readonly string[],
  what: string,
): Promise<RunOutcome> {
  const format = ['--noheadings', '--nosuffix', '--units', 'b', '--separator', SEPARATOR, '-o', fields.join(',')];
  return lvmCommand(context, command, [...format, what]);
}
