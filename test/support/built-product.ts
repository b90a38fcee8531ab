import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../lab/machine/project.ts';

/**
 * The variable that says where a run of the tests has the product, once one of them has asked for it; the benchmark has
 * none.
 */
export const SHARED_PRODUCT = 'RBDSR_SHARED_PRODUCT';

/** The product, but for its runtime, as it was built for this run of the tests: for whoever changes nothing in it. */
export function builtProduct(): string {
  const shared = process.env[SHARED_PRODUCT];
  if (shared === undefined) throw new Error(`${SHARED_PRODUCT} is not set: this is no run of the tests`);
  if (!existsSync(shared)) buildShared(shared);
  return shared;
}

/** A copy of it that is the caller's own; where nothing is shared, one that is built for it. */
export function placeBuiltProduct(folder: string): void {
  if (process.env[SHARED_PRODUCT] === undefined) build(folder);
  else cpSync(builtProduct(), folder, { recursive: true, preserveTimestamps: true });
}

/** Two files may want it at once: the second finds the first one's in its place. */
function buildShared(shared: string): void {
  const own = `${shared}-${process.pid}`;
  build(own);
  try {
    renameSync(own, shared);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
    rmSync(own, { recursive: true });
  }
}

function build(folder: string): void {
  execFileSync(process.execPath, [join(PROJECT_ROOT, 'scripts/build.mjs'), folder], { stdio: 'pipe' });
}
