import { chmodSync } from 'node:fs';
import type { Server } from 'node:net';
import { RbdsrError } from '../../base/error.ts';
import { removeIfExists } from '../../system/files.ts';

/**
 * Lets `server` listen on a UNIX socket that only root can reach. A socket file that is there already is what a dead
 * server left. 'io' where it cannot.
 */
export async function listenForRoot(server: Server, path: string): Promise<void> {
  removeIfExists(path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(new RbdsrError('io', { what: `cannot listen on ${path}: ${cause.code}`, cause }));
    });
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
}
