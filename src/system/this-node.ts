import { basename, dirname, join } from 'node:path';

/**
 * How to start another node like this one. launcher.sh starts the shipped node by way of the loader of its own C
 * library, and the loader is then what the kernel, and so process.execPath, takes for the program.
 */
export function thisNode(program: string = process.execPath): readonly string[] {
  if (!basename(program).startsWith('ld-linux')) return [program];
  const libraries = dirname(program);
  return [program, '--library-path', libraries, join(dirname(libraries), 'bin/node')];
}
