import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The checkout's root, wherever the running bundle lies in it. */
export const PROJECT_ROOT = findRoot(import.meta.dirname);

/** Everything the lab keeps on disk: caches and one folder per run. Ignored by git. */
export const LAB_FOLDER = join(PROJECT_ROOT, '.lab');

/** A folder below `.lab/`, made if absent. */
export function labFolder(...names: readonly string[]): string {
  const path = join(LAB_FOLDER, ...names);
  mkdirSync(path, { recursive: true });
  return path;
}

function findRoot(start: string): string {
  for (let folder = start; folder !== '/'; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package-lock.json'))) return folder;
  }
  throw new Error(`no package-lock.json above ${start}: the lab runs from a checkout only`);
}
