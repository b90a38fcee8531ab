import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Outcome } from './machine/program.ts';
import type { Pool } from './pool.ts';
import { DRIVER } from './hosts/install.ts';
import { send } from './xapi-double/driver.ts';

/** What another terminal may ask of a lab that is up: one JSON document each way. */
export type DoorRequest =
  | { readonly host: string; readonly argv: readonly string[] }
  | { readonly host: string; readonly command: string; readonly deviceConfig: Readonly<Record<string, string>> };

/** Opens a UNIX socket for `lab/exec.ts`; returns its path. */
export async function openDoor(pool: Pool): Promise<string> {
  const path = join(pool.run.socketPath, 'door');
  const server = createServer({ allowHalfOpen: true }, (socket) => void serve(pool, socket));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return path;
}

async function serve(pool: Pool, socket: Socket): Promise<void> {
  socket.on('error', () => socket.destroy());
  const chunks: Buffer[] = [];
  // A plain loop over a socket destroys it at the end of what is read, and the answer is still to come.
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer);
  const outcome = await answer(pool, JSON.parse(Buffer.concat(chunks).toString()) as DoorRequest).catch(
    (error: unknown): Outcome => ({ code: 127, stdout: '', stderr: `${String(error)}\n` }),
  );
  socket.end(JSON.stringify(outcome));
}

async function answer(pool: Pool, request: DoorRequest): Promise<Outcome> {
  const index = pool.hosts.findIndex(({ name }) => name === request.host);
  if (index < 0) throw new Error(`no host ${request.host}: ${pool.hosts.map(({ name }) => name).join(', ')}`);
  if ('argv' in request) return pool.host(index).exec(request.argv, { timeoutMs: 3_600_000 });
  const device_config = { SRmaster: index === 0 ? 'true' : 'false', ...request.deviceConfig };
  return send(pool.double, pool.hostRef(index), DRIVER, request.command, { args: [], device_config });
}
