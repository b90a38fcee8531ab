import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { SHARED_PRODUCT } from './built-product.ts';

/**
 * vitest's set-up of a run: the product it has built goes with it, and is built anew where a watched source has
 * changed.
 */
export function setup(project: TestProject): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'rbdsr-shared-'));
  const shared = join(folder, 'product');
  process.env[SHARED_PRODUCT] = shared;
  project.onTestsRerun(() => rmSync(shared, { recursive: true, force: true }));
  return () => rmSync(folder, { recursive: true, force: true });
}
