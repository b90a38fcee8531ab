import { isUuid } from '../../base/ids.ts';
import { formatBytes } from '../../base/units.ts';
import { CBT_LOG, isUnfinished, MGT_LV, vdiOfLv } from '../../lvhd/names.ts';
import type { LvReport } from '../../lvm/report.ts';
import { type Examined, scanCommand } from './examined.ts';
import type { SrFinding } from './finding.ts';

/** Volumes that an operation has left, or that are nobody's. */
export function leftoverFindings(examined: Examined): readonly SrFinding[] {
  const journals = new Set(examined.disks.journals.map(({ lvName }) => lvName));
  return examined.disks.volumes.flatMap((lv) => {
    if (lv.name === MGT_LV || journals.has(lv.name)) return [];
    const vdi = vdiOfLv(lv.name);
    if (vdi === undefined) return noDisk(examined, lv);
    return vdi.old ? [setAside(examined, lv)] : [];
  });
}

function noDisk(examined: Examined, lv: LvReport): SrFinding[] {
  const { name } = lv;
  const size = formatBytes(lv.sizeBytes);
  if (isUnfinished(name)) {
    return [
      {
        severity: 'warning',
        code: 'creation-unfinished',
        where: name,
        what: `a volume of ${size} that was being made`,
        means: 'Its making was cut short, or goes on at this moment. Nothing is in it.',
        todo: `The next scan on the pool master removes it: ${scanCommand(examined.picture)}`,
      },
    ];
  }
  if (name.endsWith(CBT_LOG)) return logWithoutDisk(examined, name.slice(0, -CBT_LOG.length), name);
  const [, id = ''] = /^[a-z]+_([0-9a-f-]{36})(?:_|$)/.exec(name) ?? [];
  if (isUuid(id)) {
    return [
      {
        severity: 'warning',
        code: 'journal-unfinished',
        where: name,
        what: `a journal of ${size} about VDI ${id} that was being made`,
        means: 'It has no tag, so it is none: the operation that wanted to note itself down had changed nothing.',
        todo: 'Nothing: the same operation on the disk removes it, and begins anew.',
      },
    ];
  }
  return [
    {
      severity: 'warning',
      code: 'stranger',
      where: name,
      what: `a volume of ${size} that is no disk, journal or log`,
      means: 'RBDSR leaves it alone. It keeps the SR from being deleted.',
      todo: 'Find out who made it.',
    },
  ];
}

/** What is left of a disk whose data were destroyed is its record, here or in xapi. */
function logWithoutDisk({ picture, disks, byUuid }: Examined, uuid: string, where: string): SrFinding[] {
  const isKnown =
    byUuid.has(uuid) ||
    disks.metadata?.vdis.some((record) => record.uuid === uuid) === true ||
    picture.xapi?.vdis.some((record) => record.uuid === uuid) === true;
  if (isKnown) return [];
  return [
    {
      severity: 'warning',
      code: 'log-without-disk',
      where,
      what: `a log of changed blocks of VDI ${uuid}, of which there is neither a volume nor a record`,
      means: 'No backup program can ask for it. It takes 4 MiB or a little more.',
      todo: 'Nothing has to be done.',
    },
  ];
}

function setAside({ disks }: Examined, lv: LvReport): SrFinding {
  const uuid = vdiOfLv(lv.name)?.uuid;
  const isNoted = disks.journals.some(({ type, vdi }) => type === 'leaf' && vdi === uuid);
  return {
    severity: 'warning',
    code: 'set-aside',
    where: lv.name,
    what: `the leaf of VDI ${uuid ?? '?'} as a merge has set it aside, ${formatBytes(lv.sizeBytes)}`,
    means: isNoted
      ? 'The merge was interrupted: until it is finished or undone this volume may be the only one with the last data.'
      : 'No journal tells of a merge any more: it was done, and only its removal was cut short.',
    todo: isNoted ? 'Keep it.' : 'Keep it as long as the disk has not been seen to be whole; the collector removes it.',
  };
}
