import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { surveyMonitors } from '../../../src/ceph/cluster/monitor-survey.ts';
import { parseMonitors } from '../../../src/ceph/cluster/monitors.ts';

const servers: Server[] = [];
afterEach(async () => {
  await Promise.all(
    servers.splice(0).map(
      (server) =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
        }),
    ),
  );
});

/** The address of a listener that says this to whoever connects. */
async function speaker(greet: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    greet(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function survey(addresses: readonly string[], ms = 1500) {
  const answers = await surveyMonitors(parseMonitors(addresses.join(',')), Deadline.after(ms));
  return answers.map(({ state }) => state);
}

describe('listening at monitors', () => {
  test('tells protocols, strangers and silence apart', async () => {
    const addresses = await Promise.all([
      speaker((socket) => socket.write('ceph v027\0\0\0')),
      speaker((socket) => socket.write('ceph v2\n\x10\0')),
      speaker((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')),
      speaker((socket) => socket.end()),
    ]);
    expect(await survey(addresses)).toEqual(['msgr1', 'msgr2', 'foreign', 'silent']);
  });

  test('a banner that comes in pieces', async () => {
    const address = await speaker((socket) => {
      socket.write('ceph');
      setTimeout(() => socket.write(' v027'), 20);
    });
    expect(await survey([address])).toEqual(['msgr1']);
  });

  test('a port nobody listens at', async () => {
    const address = await speaker(() => {});
    const [server] = servers.splice(0);
    await new Promise<void>((resolve) => {
      server?.close(() => resolve());
    });
    expect(await survey([address])).toEqual(['unreachable']);
  });

  test('a frozen monitor does not hold up the answer of a living one', async () => {
    const frozen = await speaker(() => {});
    const alive = await speaker((socket) => socket.write('ceph v027'));
    expect(await survey([frozen, alive], 60_000)).toEqual(['silent', 'msgr1']);
  });
});
