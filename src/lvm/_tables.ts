import { statSync } from 'node:fs';
import { SECTOR } from '../base/units.ts';
import { deviceNumbers } from '../system/io/block-node.ts';
import { namesIn } from '../system/files.ts';
import { runProgram } from '../system/run.ts';
import { readAttribute } from '../system/sysfs.ts';
import type { LvmCommandContext } from './_command.ts';
import { dmName } from './dm-name.ts';
import type { LvReport } from './report.ts';

/**
 * Whether device-mapper has a device of this LV, with or without a node (Linux
 * `Documentation/ABI/testing/sysfs-block-dm`).
 */
export function hasDevice(vg: string, lv: string): boolean {
  return dmDevices().has(dmName(vg, lv));
}

/** The names of all that device-mapper has. */
export function dmDevices(): ReadonlySet<string> {
  const names = namesIn('/sys/block')
    .filter((block) => block.startsWith('dm-'))
    .flatMap((block) => readAttribute(`/sys/block/${block}/dm/name`) ?? []);
  return new Set(names);
}

/**
 * Whether the table that device-mapper uses for the LV leads to the extents that the metadata name. What is not linear
 * and on our device alone is not compared: LVHD makes no such LV.
 */
export async function leadsToExtents(
  { device, deadline }: Pick<LvmCommandContext, 'device' | 'deadline'>,
  vg: string,
  lv: LvReport,
): Promise<boolean> {
  if (lv.segments.length === 0 || lv.segments.some(({ type, pv }) => type !== 'linear' || pv !== device)) return true;
  const { end, stdout } = await runProgram('dmsetup', ['table', dmName(vg, lv.name)], { deadline });
  if (end.kind !== 'exit' || end.code !== 0) return false;
  const { major, minor } = deviceNumbers(statSync(device).rdev);
  const wanted = lv.segments.map(({ startBytes, lengthBytes, pvOffsetBytes }) => ({
    start: startBytes / SECTOR,
    length: lengthBytes / SECTOR,
    target: `linear ${major}:${minor}`,
    offset: pvOffsetBytes / SECTOR,
  }));
  return JSON.stringify(joined(tableRows(stdout))) === JSON.stringify(joined(wanted));
}

interface TableRow {
  readonly start: number;
  readonly length: number;
  readonly target: string;
  readonly offset: number;
}

/**
 * `<start> <length> linear <major>:<minor> <offset>`, in sectors (Linux
 * `Documentation/admin-guide/device-mapper/linear.rst`).
 */
function tableRows(text: string): TableRow[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [start, length, kind, device, offset] = line.trim().split(' ');
      return { start: Number(start), length: Number(length), target: `${kind} ${device}`, offset: Number(offset) };
    });
}

/** LVM tells of each run of extents as it was allocated, device-mapper of what lies in one piece. */
function joined(rows: readonly TableRow[]): TableRow[] {
  const result: TableRow[] = [];
  for (const row of rows) {
    const last = result.at(-1);
    const goesOn =
      last !== undefined &&
      last.target === row.target &&
      last.start + last.length === row.start &&
      last.offset + last.length === row.offset;
    if (goesOn) result[result.length - 1] = { ...last, length: last.length + row.length };
    else result.push(row);
  }
  return result;
}
