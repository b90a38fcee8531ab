import { readFileSync } from 'node:fs';

/**
 * The attribute's text without surrounding white space, or undefined where the kernel has no such attribute (or its
 * object is gone).
 */
export function readAttribute(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    return absent(error);
  }
}

/** What reading an attribute failed with, where that is more than that there is none. */
export function absent(error: unknown): undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENODEV' || code === 'ENXIO') return undefined;
  throw error;
}
