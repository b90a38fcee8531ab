// `promises` and not node:fs/promises, which takes a millisecond to load: most commands only read here.
import { promises, readFileSync } from 'node:fs';

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

/**
 * The same off the main thread, for what lies behind a lock of the device's: an attribute of a request queue waits for
 * a change of its scheduler, and that for requests which a dead cluster never answers.
 */
export async function readQueueAttribute(path: string): Promise<string | undefined> {
  try {
    return (await promises.readFile(path, 'utf8')).trim();
  } catch (error) {
    return absent(error);
  }
}

function absent(error: unknown): undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENODEV' || code === 'ENXIO') return undefined;
  throw error;
}

/**
 * Hands `text` to the kernel in one write, off the main thread, since a write to `/sys/bus/rbd/add` returns only when
 * the cluster has answered. Rejects with the kernel's errno as a NodeJS error.
 */
export async function writeAttribute(path: string, text: string): Promise<void> {
  const handle = await promises.open(path, 'w');
  try {
    await handle.write(text);
  } finally {
    await handle.close();
  }
}
