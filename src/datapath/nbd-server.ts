import { chmodSync } from 'node:fs';
import { createServer } from 'node:net';
import type { BlockIo } from '../base/block-io.ts';
import { RbdsrError } from '../base/error.ts';
import type { Log } from '../base/log.ts';
import { removeIfExists } from '../system/files.ts';
import { NbdConnection } from './nbd-connection.ts';
import { TRANSMISSION_FLAG } from './nbd-protocol.ts';

export interface NbdExport {
  readonly name: string;
  readonly io: BlockIo;
  readonly readOnly: boolean;
}

export interface NbdServer {
  readonly socketPath: string;
  /** Takes no more connections, answers what has arrived and hangs up. The export stays open. */
  close(): Promise<void>;
}

/** Serves one export on a UNIX socket that only root can reach. A socket file that is there already is what a dead server left. */
export async function startNbdServer(socketPath: string, exported: NbdExport, log: Log): Promise<NbdServer> {
  const facts = { name: exported.name, size: exported.io.size, flags: flagsOf(exported) };
  const served = { facts, io: exported.io, readOnly: exported.readOnly, log };
  const connections = new Set<NbdConnection>();
  const server = createServer((socket) => {
    const connection = new NbdConnection(socket, served);
    connections.add(connection);
    socket.once('close', () => connections.delete(connection));
  });
  removeIfExists(socketPath);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(new RbdsrError('io', { what: `cannot listen on ${socketPath}: ${cause.code}`, cause }));
    });
    server.listen(socketPath, resolve);
  });
  chmodSync(socketPath, 0o600);
  return {
    socketPath,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await Promise.all([...connections].map((connection) => connection.drain()));
      await closed;
    },
  };
}

function flagsOf({ readOnly }: NbdExport): number {
  const always = TRANSMISSION_FLAG.hasFlags | TRANSMISSION_FLAG.sendFlush;
  if (readOnly) return always | TRANSMISSION_FLAG.readOnly;
  return always | TRANSMISSION_FLAG.sendFua | TRANSMISSION_FLAG.sendWriteZeroes;
}
