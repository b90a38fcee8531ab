import { join } from 'node:path';
import { builtProduct } from '../../support/built-product.ts';

/** How the NBD server is started: the program that ships. */
export function nbdProgram(): readonly string[] {
  return [process.execPath, join(builtProduct(), 'nbd.cjs')];
}
