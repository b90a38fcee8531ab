import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { check } from './program.ts';
import { labFolder } from './project.ts';

/**
 * The program or library that the C files of this folder make, compiled unless these very files have been before, by
 * any run. It is linked statically unless `flags` say otherwise, so that it runs wherever it is put.
 */
export async function compiled(name: string, folder: string, flags: readonly string[] = ['-static']): Promise<string> {
  const sources = readdirSync(folder)
    .filter((file) => /\.[ch]$/.test(file))
    .sort()
    .map((file) => join(folder, file));
  const argv = ['gcc', '-std=gnu11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror', ...flags];
  const hash = createHash('sha256').update(argv.join(' '));
  for (const source of sources) hash.update(`\n${source}\n`).update(readFileSync(source));
  const path = join(labFolder('compiled'), `${name}-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(path)) return path;
  // Whole or not at all, and of this call alone: the hosts of a pool ask at once.
  const fresh = `${path}.${randomUUID()}`;
  try {
    await check([...argv, '-o', fresh, ...sources.filter((source) => source.endsWith('.c'))]);
    renameSync(fresh, path);
  } finally {
    rmSync(fresh, { force: true });
  }
  return path;
}
