import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { DRIVER } from '../hosts/install.ts';
import { ALL_NEEDS } from '../hosts/needs.ts';
import type { XapiRoute } from '../hosts/xapi-route.ts';
import type { Pool } from '../pool.ts';
import type { LabPool } from '../start-pool.ts';
import { send } from '../xapi-double/driver.ts';
import type { DoorAnswer, DoorOutcome, DoorRequest, LabDescription } from './requests.ts';

/** Opens a UNIX socket for whoever asks (ask.ts); returns its path. */
export async function openDoor(lab: LabPool): Promise<string> {
  const path = join(lab.pool.run.socketPath, 'door');
  const joined = new Joined(lab.xapi);
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    void serve(lab.pool, joined, socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return path;
}

async function serve(pool: Pool, joined: Joined, socket: Socket): Promise<void> {
  const request = await readRequest(socket);
  if (request.ask === 'join') await joined.take(socket, request.xapi);
  const answer = request.ask === 'join' ? { value: 'joined' } : await answerTo(pool, request);
  socket.write(JSON.stringify(answer satisfies DoorAnswer));
  if (request.ask !== 'join') socket.end();
}

/** Whose xapi the hosts find: the lab's own, or that of the process that has joined. */
class Joined {
  readonly #route: XapiRoute;
  #last: Promise<void> = Promise.resolve();

  constructor(route: XapiRoute) {
    this.#route = route;
  }

  /** Resolves when it is this one's turn, which ends with the connection. */
  async take(socket: Socket, xapi: string): Promise<void> {
    const before = this.#last;
    this.#last = new Promise((resolve) => socket.once('close', () => resolve()));
    await before;
    if (socket.destroyed) return;
    const own = this.#route.path;
    this.#route.path = xapi;
    socket.once('close', () => (this.#route.path = own));
  }
}

/** One line. */
async function readRequest(socket: Socket): Promise<DoorRequest> {
  let text = '';
  return new Promise((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.endsWith('\n')) resolve(JSON.parse(text) as DoorRequest);
    });
    socket.on('end', () => socket.end());
  });
}

async function answerTo(pool: Pool, request: Exclude<DoorRequest, { ask: 'join' }>): Promise<DoorAnswer> {
  try {
    return { value: await valueOf(pool, request) };
  } catch (error) {
    return { error: String(error) };
  }
}

async function valueOf(pool: Pool, request: Exclude<DoorRequest, { ask: 'join' }>): Promise<unknown> {
  if (request.ask === 'describe') return describe(pool);
  if (request.ask === 'daemon') return pool.cluster.daemons[request.does](request.name);
  const index = pool.hosts.findIndex(({ name }) => name === request.host);
  if (index < 0) throw new Error(`no host ${request.host}: ${pool.hosts.map(({ name }) => name).join(', ')}`);
  const host = pool.host(index);
  if (request.ask === 'power') return host[request.does]();
  if (request.ask === 'exec') {
    const { argv, env = {}, timeoutMs = 3_600_000 } = request;
    return encoded(await host.execBytes(argv, { stdin: Buffer.from(request.stdin ?? '', 'base64'), env, timeoutMs }));
  }
  const device_config = { SRmaster: index === 0 ? 'true' : 'false', ...request.deviceConfig };
  const { code, stdout, stderr } = await send(pool.double, pool.hostRef(index), DRIVER, request.command, {
    args: [],
    device_config,
  });
  return encoded({ code, stdout: Buffer.from(stdout), stderr: Buffer.from(stderr) });
}

function encoded(o: { readonly code: number; readonly stdout: Buffer; readonly stderr: Buffer }): DoorOutcome {
  return { code: o.code, stdout: o.stdout.toString('base64'), stderr: o.stderr.toString('base64') };
}

function describe({ cluster, hosts, selfExtractor }: Pool): LabDescription {
  return {
    layout: cluster.layout,
    network: cluster.network.name,
    selfExtractor,
    hosts: hosts.map((host) => ({
      name: host.name,
      uuid: host.uuid,
      address: host.address,
      consoleLog: host.consoleLog,
      deadline: host.deadline,
      isOn: host.isOn,
      ...(host.links === undefined ? {} : { links: host.links }),
      has: ALL_NEEDS.filter((need) => host.has(need)),
    })),
  };
}
