import { basename, dirname, join } from 'node:path';
import { rmdirSync } from 'node:fs';
import { namesIn, removeIfExists } from '../../system/files.ts';

/**
 * Takes away what Python has compiled from a module that went: beside it (Python 2), or in the folder __pycache__
 * there.
 */
export function removeBytecode(module: string): void {
  if (!module.endsWith('.py')) return;
  for (const letter of ['c', 'o']) removeIfExists(module + letter);
  const folder = join(dirname(module), '__pycache__');
  const compiled = namesIn(folder).filter((name) => name.startsWith(`${basename(module, '.py')}.`));
  for (const name of compiled) removeIfExists(join(folder, name));
  if (compiled.length > 0 && namesIn(folder).length === 0) rmdirSync(folder);
}
