import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { HOST_VERSIONS, type HostVersion } from '../../../lab/host-trees/host-versions.ts';

export interface Python {
  /** `2.7.18`, or `host` for the system's own. */
  readonly version: string;
  readonly program: string;
  readonly major: 2 | 3;
  /** Whether it has the module `imp`, which left with 3.12. */
  readonly hasImp: boolean;
}

/**
 * The interpreters of this machine: the system's Python 3, and the oldest and newest of every major version that pyenv
 * has. Hosts run 2.4,
 * 2.7 and 3.6; there is no 2.4 anywhere to test with, so syntax.test.ts looks for what it lacks.
 */
export function pythons(): readonly Python[] {
  const minor = minorOf(basename(realpathSync('/usr/bin/python3')));
  const system: Python = { version: 'host', program: '/usr/bin/python3', major: 3, hasImp: minor < 12 };
  const folder = join(homedir(), '.pyenv/versions');
  if (!existsSync(folder)) return [system];
  const versions = readdirSync(folder)
    .filter((name) => /^[23]\.\d+\.\d+$/.test(name) && existsSync(join(folder, name, 'bin/python')))
    .sort((a, b) => minorOf(a) - minorOf(b));
  const chosen = [2, 3].flatMap((major) => {
    const same = versions.filter((name) => name.startsWith(`${major}.`));
    return [...new Set([same.at(0), same.at(-1)])].filter((name) => name !== undefined);
  });
  const found = chosen.map((version): Python => {
    const major = version.startsWith('2.') ? 2 : 3;
    const hasImp = major === 2 || minorOf(version) < 12;
    return { version, program: join(folder, version, 'bin/python'), major, hasImp };
  });
  return [system, ...found];
}

/**
 * The trees worth trying with an interpreter: all with the system's own, those whose Python it stands for with another.
 * sm 4.x has no Python 2.
 */
export function treesFor({ version, major }: Python): readonly HostVersion[] {
  if (version === 'host') return HOST_VERSIONS;
  return major === 2 ? ['6.5', '8.2'] : ['8.3a', '8.3b', '4.x'];
}

function minorOf(version: string): number {
  return Number(version.split('.')[1]);
}
