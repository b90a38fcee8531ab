import { MiB, SECTOR } from '../../src/base/units.ts';
import type { Disk, Model } from './model.ts';
import type { Operation, Verb } from './operation.ts';

/** Whether xapi would ask for it, or a guest could do it; of a story that was made shorter, some things are not. */
export function isPossible(operation: Operation, model: Model): boolean {
  return RULES[operation.verb](operation, model);
}

type Rule = (operation: Operation, model: Model) => boolean;

const always: Rule = () => true;

const copied: Rule = ({ disk, of }, model) => {
  const source = model.disk(of);
  return model.isNew(disk) && source !== undefined && canBeCopied(source);
};

/** Of the one disk that the operation is about. */
const ofDisk =
  (rule: (disk: Disk, operation: Operation, model: Model) => boolean): Rule =>
  (operation, model) => {
    const disk = model.disk(operation.disk);
    return disk !== undefined && rule(disk, operation, model);
  };

const RULES: Readonly<Record<Verb, Rule>> = {
  create: ({ disk }, model) => model.isNew(disk),
  snapshot: copied,
  clone: copied,
  delete: ofDisk(({ uses }) => uses.size === 0),
  'delete-base': ofDisk((_disk, _operation, { isUnsettled }) => !isUnsettled),
  resize: ofDisk((disk, { mib = 0 }) => canGrow(disk, mib * MiB)),
  attach: ofDisk((disk, { host = 0 }) => canBeUsed(disk, host)),
  detach: ofDisk(({ uses }, { host = 0 }) => uses.has(host)),
  move: ofDisk((disk) => disk.fate === 'stays' && writers(disk).length === 1 && disk.uses.size === 1),
  write: ofDisk((disk, operation) => writers(disk).length > 0 && isWithin(disk, operation)),
  scan: always,
  replug: always,
  reboot: always,
  collect: always,
};

/** The hosts on which a guest writes to the disk: one, or none. */
export function writers({ uses }: Disk): readonly number[] {
  return [...uses].flatMap(([host, use]) => (use === 'RW' ? [host] : []));
}

function canBeCopied({ isRaw, fate, uses }: Disk): boolean {
  return !isRaw && (fate === 'stays' || fate === 'asked') && ![...uses.values()].includes('cut');
}

function canGrow(disk: Disk, bytes: number): boolean {
  if (disk.uses.size > 0 || disk.isSnapshot) return false;
  if (disk.fate === 'grows') return bytes === disk.grownTo;
  return disk.fate === 'stays' && bytes > disk.content.length;
}

/** Again where that was cut short; for reading on a second host. */
function canBeUsed({ fate, uses, isSnapshot }: Disk, host: number): boolean {
  if (fate !== 'stays') return false;
  return [...uses].every(([on, use]) => (on === host ? use === 'cut' : isSnapshot && use === 'RO'));
}

function isWithin({ content }: Disk, { at = 0, sectors = 0 }: Operation): boolean {
  return sectors > 0 && (at + sectors) * SECTOR <= content.length;
}
