import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { REPORT_FIELDS } from '../../src/lvm/report.ts';
import { deviceNumbers } from '../../src/system/io/block-node.ts';
import { dmsetupScript } from './stand-ins/recorded-dmsetup.ts';

/** A version of LVM that was recorded, by the name of its file in test/fixtures/lvm. */
export interface StandIn {
  /** Commands that mount it over the machine's own files, in a mount namespace of the test's own. */
  readonly mounts: readonly (readonly string[])[];
  /** The calls so far: `<access> <argv without the configuration>`. */
  calls(): string[];
  /** The same for dmsetup. */
  tables(): string[];
}

export interface StandInOptions {
  readonly version: string;
  /** What each loop device holds (test/host/lvm/transcript-script.ts). */
  readonly disks: Readonly<Record<string, string>>;
  /** Its volumes have nodes and links when they are active. A group that is yet to be made must not have a folder. */
  readonly vg?: string;
  /** Every change is refused, as the version refuses it to one who may only read. */
  readonly refuses?: boolean;
  /** What `dmsetup table` prints. */
  readonly table?: string;
}

const PROGRAM = `${import.meta.dirname}/lvm-stand-in.mjs`;
export const TRANSCRIPTS = `${import.meta.dirname}/../fixtures/lvm`;

/** Places the stand-in below `folder`; the machine's own LVM, which makes the changes, is copied out of the way. */
export function lvmStandIn(folder: string, o: StandInOptions): StandIn {
  for (const name of ['real', 'states', 'mapper', 'links', 'sys']) mkdirSync(join(folder, name), { recursive: true });
  copyFileSync(realpathSync('/usr/sbin/lvm'), join(folder, 'real/lvm'));
  // The only devices of the machine that are left to be seen.
  for (const number of new Set(Object.keys(o.disks).map((device) => statSync(device).rdev))) {
    const { major, minor } = deviceNumbers(number);
    symlinkSync(realpathSync(`/sys/dev/block/${major}:${minor}`), join(folder, `sys/${major}:${minor}`));
  }
  const settings = {
    transcript: `${TRANSCRIPTS}/${o.version}.json`,
    disks: o.disks,
    fields: REPORT_FIELDS.join(','),
    refuses: o.refuses === true,
    lvm: join(folder, 'real/lvm'),
    states: join(folder, 'states'),
    log: join(folder, 'lvm.log'),
    mapper: join(folder, 'mapper'),
    links: join(folder, 'links'),
    sys: join(folder, 'sys'),
  };
  writeFileSync(join(folder, 'settings.json'), JSON.stringify(settings));
  const log = join(folder, 'dmsetup.log');
  const dmsetup = dmsetupScript({
    log,
    ...(o.table === undefined ? { states: ['none'] } : { states: ['free'], table: o.table }),
  });
  const program = (name: string, text: string): readonly [string, string] => {
    writeFileSync(join(folder, name), text, { mode: 0o755 });
    return [join(folder, name), `/usr/sbin/${name}`];
  };
  const lines = (name: string): string[] =>
    existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8').trim().split('\n') : [];
  const bind = ([from, to]: readonly [string, string]): readonly string[] => ['mount', '--bind', from, to];
  return {
    mounts: [
      ...ownDevices(join(folder, 'dev'), ['/dev/mapper', ...(o.vg === undefined ? [] : [`/dev/${o.vg}`])]),
      ...[
        program('lvm', `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' '${join(folder, 'settings.json')}' "$@"\n`),
        program('dmsetup', dmsetup),
        [settings.mapper, '/dev/mapper'] as const,
        ...(o.vg === undefined ? [] : [[settings.links, `/dev/${o.vg}`] as const]),
        [settings.sys, '/sys/block'] as const,
        [settings.sys, '/sys/dev/block'] as const,
      ].map(bind),
    ],
    calls: () => lines('lvm.log'),
    tables: () => lines('dmsetup.log'),
  };
}

/** Folders in /dev that nobody else sees: LVM makes no group that has one there. */
function ownDevices(place: string, folders: readonly string[]): readonly (readonly string[])[] {
  mkdirSync(place, { recursive: true });
  const [upper, work] = [join(place, 'upper'), join(place, 'work')];
  return [
    ['mount', '-t', 'tmpfs', 'stand-ins', place],
    ['mkdir', upper, work],
    ['mount', '-t', 'overlay', 'stand-ins', '-o', `lowerdir=/dev,upperdir=${upper},workdir=${work}`, '/dev'],
    ['mkdir', '-p', ...folders],
  ];
}
