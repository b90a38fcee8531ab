// Apart from sysfs.ts, for node:fs/promises takes a millisecond to load, and most commands only read there.
import { open, readFile } from 'node:fs/promises';
import { absent } from './sysfs.ts';

/**
 * As readAttribute, off the main thread, for what lies behind a lock of the device's: an attribute of a request queue
 * waits for a change of its scheduler, and that for requests which a dead cluster never answers.
 */
export async function readQueueAttribute(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    return absent(error);
  }
}

/**
 * Hands `text` to the kernel in one write, off the main thread, since a write to `/sys/bus/rbd/add` returns only when
 * the cluster has answered. Rejects with the kernel's errno as a NodeJS error.
 */
export async function writeAttribute(path: string, text: string): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await handle.write(text);
  } finally {
    await handle.close();
  }
}
