import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where this run has the product, once a test has asked for it. */
    sharedProduct: string;
  }
}

/** vitest's set-up of a run: the product it has built goes with it, and is built anew where a watched source has changed. */
export function setup(project: TestProject): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'rbdsr-shared-'));
  const sharedProduct = join(folder, 'product');
  project.provide('sharedProduct', sharedProduct);
  project.onTestsRerun(() => rmSync(sharedProduct, { recursive: true, force: true }));
  return () => rmSync(folder, { recursive: true, force: true });
}
