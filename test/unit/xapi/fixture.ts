import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { openDriverSession, type XapiDouble } from '../../../lab/xapi-double/double.ts';
import { localHost } from '../../../lab/xapi-double/local-host.ts';
import type { DoubleProfileId } from '../../../lab/xapi-double/profile.ts';
import { startXapiDouble } from '../../../lab/xapi-double/start.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { connectXapi, type Xapi } from '../../../src/xapi/client.ts';

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'rbdsr-xapi-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export interface Pool {
  readonly double: XapiDouble;
  readonly socketPath: string;
  /** An SR without PBDs. */
  readonly sr: string;
  /** Connected with a session bound to the SR. */
  readonly xapi: Xapi;
}

export async function startPool(profileId: DoubleProfileId = '8.3a'): Promise<Pool> {
  const socketPath = join(temporaryDirectory(), 'xapi');
  const at = { unixSocket: socketPath, tcp: { host: '127.0.0.1', port: 0 } };
  const double = await startXapiDouble(at, localHost(), { profileId });
  const sr = double.db.create('SR', { name_label: 'ceph', type: 'rbd', shared: true }).ref;
  const session = openDriverSession(double.sessions, sr).ref;
  const xapi = connectXapi({ socketPath, session, deadline: Deadline.after(20_000) });
  onTestFinished(async () => {
    xapi.close();
    await double.close();
  });
  return { double, socketPath, sr, xapi };
}

/** A server that answers each connection's bytes with what `serve` does. */
export async function startServer(serve: (socket: Socket, connection: number) => void): Promise<string> {
  const path = join(temporaryDirectory(), 'socket');
  const sockets = new Set<Socket>();
  let connections = 0;
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    connections += 1;
    serve(socket, connections);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return path;
}
