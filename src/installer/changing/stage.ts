import { randomBytes } from 'node:crypto';
import { renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { lastStep, type Step, step } from '../../base/steps.ts';
import { ensureDir, namesIn, writeFileAtomic } from '../../system/files.ts';
import { runStepsAtOnce } from '../../system/running-steps.ts';
import { type Host, STATE_DIR } from '../host.ts';
import { eitherWay } from './mending.ts';

/**
 * Replaces a file in one step, so that there is no moment without one. The new file is made in a folder of ours and not
 * beside the old one: xapi reads whatever lies in /etc/xapi.conf.d, and takes whatever ends in "SR" in
 * /opt/xensource/sm for a driver. Where /opt is another file system it is made beside it after all: its name ends in a
 * digit or a letter from a to f, and sorts before whatever counts.
 */
export function stageFile(
  host: Host,
  data: string | Uint8Array,
  mode: number,
  file: string,
  dress: (staged: string) => void,
): void {
  stage(host, file, (staged) => {
    writeFileAtomic(staged, data, mode);
    dress(staged);
  });
}

export function stageLink(host: Host, target: string, file: string): void {
  stage(host, file, (staged) => symlinkSync(target, staged));
}

/** Takes away what a killed process left. */
export function clearStage(host: Host): void {
  rmSync(host.at(STAGE), { recursive: true, force: true });
  for (const folder of new Set(host.journal.entries.map(({ path }) => host.at(dirname(path))))) {
    for (const name of namesIn(folder)) if (BESIDE.test(name)) rmSync(join(folder, name), { force: true });
  }
}

const STAGE = `${STATE_DIR}/stage`;
const BESIDE = /^\.rbdsr-[0-9a-f]{16}(\.|$)/;

function stage(host: Host, file: string, make: (staged: string) => void): void {
  const name = randomBytes(8).toString('hex');
  ensureDir(host.at(STAGE), 0o700);
  const apart = join(host.at(STAGE), name);
  make(apart);
  try {
    renameSync(apart, file);
  } catch (error) {
    rmSync(apart, { force: true });
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    runStepsAtOnce(besideSteps, { beside: join(dirname(file), `.rbdsr-${name}`), file, make });
  }
}

/** The replacing of a file that lies on another file system. */
interface Besides {
  readonly beside: string;
  readonly file: string;
  readonly make: (staged: string) => void;
}

export const besideSteps: readonly Step<Besides>[] = [
  step('host.staged', ({ beside, make }) => make(beside), {
    does: 'the new file is made beside it, as `.rbdsr-<16 digits>`',
    leaves: { id: 'staged-beside', says: 'the path as it was, with a record; a file beside it that nobody reads' },
    mendedBy: eitherWay,
  }),
  lastStep(({ beside, file }) => renameSync(beside, file), 'it is renamed'),
];
