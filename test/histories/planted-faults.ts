import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plant } from './run-history.ts';

/** A merge never copies the first block that it should. */
export const MERGE_LOSES_A_BLOCK: Plant = inBundle(
  'cli.cjs',
  '[...child.blockEntries.keys()].filter((block) => child.blockEntries[block] !== UNALLOCATED)',
  '[...child.blockEntries.keys()].filter((block) => child.blockEntries[block] !== UNALLOCATED).slice(1)',
);

/** A clone of a disk that holds nothing of its own hangs on the oldest of the chain, not on what the disk hangs on. */
export const CLONE_HAS_WRONG_PARENT: Plant = inBundle(
  'sm.rest.cjs',
  'return at <= 0 ? void 0 : chain[at];',
  'return at <= 0 ? void 0 : chain.at(-1);',
);

/** A disk that grows does so in xapi alone. */
export const RESIZE_FORGETS_DISK: Plant = inBundle(
  'sm.rest.cjs',
  'await image.resizeFast(plan.virtualSizeBytes), await image.close();',
  'await image.close();',
);

/** In the product of that pool alone, as it was built; fails where the code is another by now. */
function inBundle(bundle: string, code: string, faulty: string): Plant {
  return ({ pool }) => {
    const path = join(pool.product, bundle);
    const text = readFileSync(path, 'utf8');
    if (text.split(code).length !== 2) throw new Error(`${bundle} has not once: ${code}`);
    writeFileSync(
      path,
      text.replace(code, () => faulty),
    );
    // V8's of the former text.
    rmSync(path.replace(/cjs$/, 'cache'), { force: true });
  };
}
