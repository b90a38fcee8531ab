import { readFileSync } from 'node:fs';

/**
 * Of a process, or of a thread by the path of its `stat`: the fields as proc(5) counts them, from the third on, since
 * the second is a name that may hold spaces. Undefined for one that is gone.
 */
export function statFields(path: string): readonly string[] | undefined {
  try {
    const stat = readFileSync(path, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
