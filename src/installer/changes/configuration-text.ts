import { readFileSync } from 'node:fs';
import type { Host } from '../host.ts';

/**
 * The text of somebody's configuration file; nothing where the path is a folder, or a link that leads nowhere or in a
 * circle: the program that reads the folder passes over those, too.
 */
export function configurationText(host: Host, path: string): string {
  try {
    return readFileSync(host.at(path), 'utf8');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP'].includes(code)) return '';
    throw error;
  }
}
