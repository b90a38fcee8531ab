import { RbdsrError } from '../base/error.ts';
import type { ErrorCode } from '../base/error.ts';
import { formatBytes } from '../base/units.ts';
import type { RunOutcome } from '../system/run.ts';
import { complaint } from './_command.ts';
import type { VgReport } from './report.ts';

/** What an LVM command said when it failed, for people; which code it gets was decided by the state. */
export function lvmFailure(code: ErrorCode, what: string, outcome: RunOutcome): RbdsrError {
  const exit = outcome.end.kind === 'exit' ? outcome.end.code : -1;
  return new RbdsrError(code, {
    what,
    found: complaint(outcome),
    facts: { program: 'lvm', command: outcome.args[0] ?? '', exit },
  });
}

export function missingLv(vg: string, name: string): RbdsrError {
  return new RbdsrError('lvm-missing', { what: `there is no logical volume ${name} in ${vg}` });
}

/** Throws 'sr-full' where the volume group has not `wanted` bytes left; `what` would have used them. */
export function refuseWhenFull(report: VgReport | undefined, wanted: number, what: string): void {
  if (report === undefined || report.freeBytes >= wanted) return;
  throw new RbdsrError('sr-full', {
    what: `volume group ${report.name} has no room for ${what}`,
    found: `${formatBytes(report.freeBytes)} free`,
    todo: 'Delete disks or grow the RBD image.',
  });
}
