import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';

/** The attribute's text without surrounding white space, or undefined where the kernel has no such attribute (or its object is gone). */
export function readAttribute(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENODEV' || code === 'ENXIO') return undefined;
    throw error;
  }
}

/**
 * Hands `text` to the kernel in one write, off the main thread, since a write to `/sys/bus/rbd/add` returns only when the cluster has
 * answered. Rejects with the kernel's errno as a NodeJS error.
 */
export async function writeAttribute(path: string, text: string): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await handle.write(text);
  } finally {
    await handle.close();
  }
}
