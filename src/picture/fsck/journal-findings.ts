import { kindOf } from '../../lvhd/journal/kinds.ts';
import type { InterruptedOperation } from '../disks.ts';
import { type Examined, scanCommand } from './examined.ts';
import type { SrFinding } from './finding.ts';

/** Operations that were interrupted, and who finishes or undoes each (docs/recovery.md). */
export function journalFindings(examined: Examined): readonly SrFinding[] {
  return examined.disks.journals.map((journal) => journalFinding(examined, journal));
}

function journalFinding({ picture, byUuid }: Examined, journal: InterruptedOperation): SrFinding {
  const { lvName, type, vdi, value, problem } = journal;
  if (type === undefined || vdi === undefined) {
    return {
      severity: 'error',
      code: 'journal-unreadable',
      where: lvName,
      what: problem?.message ?? 'a journal whose name says nothing',
      means: 'Neither RBDSR nor the stock driver changes the SR while it is there: nobody knows what was interrupted.',
      todo: 'Find out what made it. Do not remove it before that.',
    };
  }
  const kind = kindOf({ type });
  const name = byUuid.get(vdi)?.name;
  const noted = value === undefined || NOTHING.includes(value) ? '' : ` (noted down: ${value})`;
  const unread = problem === undefined ? '' : `; what it notes down cannot be read: ${problem.message}`;
  if (kind.isCollectors === true) {
    return {
      severity: 'warning',
      code: 'journal',
      where: lvName,
      ...(name === undefined ? {} : { name }),
      what: `${kind.operation} of VDI ${vdi} was interrupted, or is at work${unread}`,
      means:
        'Every disk reads as it did, and can be used and changed. What is merged takes its room until that is finished.',
      todo: 'Have the pool master go on with it: rbdsr gc (docs/recovery.md, "Collecting"). Do not remove the journal.',
    };
  }
  const ours = kind.recover !== undefined;
  return {
    severity: ours ? 'warning' : 'error',
    code: 'journal',
    where: lvName,
    ...(name === undefined ? {} : { name }),
    what: `${kind.operation} of VDI ${vdi} was interrupted${noted}${unread}`,
    means: ours
      ? 'No host activates the disk before that is finished or undone. No data are lost.'
      : 'Disks that it is not about can be used; no command may change the SR before that is finished or undone. No data are lost as long as nobody removes volumes by hand.',
    todo: ours
      ? `Have the pool master do it: ${scanCommand(picture)}`
      : 'Attach the SR once with the stock LVM driver, or with a release of RBDSR that finishes it (docs/recovery.md, "Journals"). Do not remove the journal.',
  };
}

/** Of kinds whose name says all. */
const NOTHING: readonly string[] = ['', '1'];
