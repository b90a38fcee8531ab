import { createServer } from 'node:net';
import type { BlockIo } from '../../base/block-io.ts';
import type { Log } from '../../base/log.ts';
import { NbdConnection } from './nbd-connection.ts';
import { TRANSMISSION_FLAG } from './nbd-protocol.ts';
import { listenForRoot } from './nbd-socket.ts';

export interface NbdExport {
  readonly name: string;
  readonly io: BlockIo;
  readonly readOnly: boolean;
}

export interface NbdServer {
  readonly socketPath: string;
  /**
   * Takes no more connections and requests, and resolves when nothing touches the export any more. That waits for the
   * disk, for no client.
   */
  quiesce(): Promise<void>;
  /** After it: lets clients take what is answered, for a moment, and closes every connection. The export stays open. */
  hangUp(): Promise<void>;
}

/** Serves one export on a UNIX socket. */
export async function startNbdServer(socketPath: string, exported: NbdExport, log: Log): Promise<NbdServer> {
  const facts = { name: exported.name, size: exported.io.size, flags: flagsOf(exported) };
  const served = { facts, io: exported.io, readOnly: exported.readOnly, log };
  const connections = new Set<NbdConnection>();
  const server = createServer((socket) => {
    const connection = new NbdConnection(socket, served);
    connections.add(connection);
    socket.once('close', () => connections.delete(connection));
  });
  await listenForRoot(server, socketPath);
  let closed: Promise<void> | undefined;
  return {
    socketPath,
    async quiesce() {
      closed ??= new Promise<void>((resolve) => server.close(() => resolve()));
      await Promise.all([...connections].map((connection) => connection.quiesce()));
    },
    async hangUp() {
      await Promise.all([...connections].map((connection) => connection.hangUp()));
      await closed;
    },
  };
}

function flagsOf({ readOnly }: NbdExport): number {
  const always = TRANSMISSION_FLAG.hasFlags | TRANSMISSION_FLAG.sendFlush;
  if (readOnly) return always | TRANSMISSION_FLAG.readOnly;
  return always | TRANSMISSION_FLAG.sendFua | TRANSMISSION_FLAG.sendWriteZeroes;
}
