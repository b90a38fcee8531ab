import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { PROJECT_ROOT } from '../../lab/machine/project.ts';

/** The product, but for its runtime, as it was built for this run of the tests: for whoever changes nothing in it. */
export function builtProduct(): string {
  const shared = inject('sharedProduct');
  if (!existsSync(shared)) build(shared);
  return shared;
}

/** A copy of it that is the caller's own. */
export function placeBuiltProduct(folder: string): void {
  cpSync(builtProduct(), folder, { recursive: true, preserveTimestamps: true });
}

/** Two files may want it at once: the second finds the first one's in its place. */
function build(shared: string): void {
  const own = `${shared}-${process.pid}`;
  execFileSync(process.execPath, [join(PROJECT_ROOT, 'scripts/build.mjs'), own], { stdio: 'pipe' });
  try {
    renameSync(own, shared);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
    rmSync(own, { recursive: true });
  }
}
