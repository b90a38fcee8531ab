import { readlinkSync } from 'node:fs';
import { dirname, normalize, resolve } from 'node:path';
import type { Host } from '../host.ts';

/**
 * The path, as the host sees it, that `path` leads to when its last name is a link, or a link to a link:
 * alternatives(8) makes those.
 */
export function followLinks(host: Host, path: string): string {
  let at = normalize(path);
  for (let steps = 0; steps < 16; steps += 1) {
    try {
      at = resolve(dirname(at), readlinkSync(host.at(at)));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EINVAL' || code === 'ENOENT' || code === 'ENOTDIR') return at;
      throw error;
    }
  }
  return at;
}
