import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { Authorizer } from '../../../src/ceph/wire/cephx-authorizer.ts';
import { messengerV1 } from '../../../src/ceph/wire/v1/messenger-v1.ts';
import { failureOf } from '../../support/expect-error.ts';
import { TICKET } from './sample-ticket.ts';

// OSDs that are started anew take the ports that are free, also each other's; one that is asked for what another
// serves drops it without a word. Two real ones do so in test/host/ceph/native-plane.test.ts.

/** As a daemon of messenger v1 greets: who it is, and who is seen. */
function greeting(host: readonly number[], port: number, nonce: number): Buffer {
  const address = Buffer.alloc(136);
  address.writeUInt32LE(nonce, 4);
  address.writeUInt16BE(2, 8);
  address.writeUInt16BE(port, 10);
  address.set(host, 12);
  return Buffer.concat([Buffer.from('ceph v027'), address, address]);
}

/** What becomes of a connection to a daemon that says this of itself, and how many bytes it was told. */
async function toldBy(greets: (port: number) => Buffer, nonce: number) {
  let told = 0;
  const server = createServer((socket) => {
    socket.write(greets((server.address() as AddressInfo).port));
    socket.on('data', (bytes) => {
      told += bytes.length;
      socket.destroy();
    });
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const peer = { host: '127.0.0.1', port: (server.address() as AddressInfo).port, nonce };
    const receiver = { message: () => undefined, closed: () => undefined };
    const within = { deadline: Deadline.after(2000) };
    const open = (): Promise<unknown> => messengerV1.toOsd(peer, new Authorizer(1n, TICKET), receiver, within);
    return { error: await failureOf('monitor-unreachable', open), told: () => told };
  } finally {
    server.close();
  }
}

const HERE = [127, 0, 0, 1];

test.each([
  ['in another life', (port: number) => greeting(HERE, port, 8)],
  ['at another port', (port: number) => greeting(HERE, port + 1, 7)],
  ['at another address', (port: number) => greeting([10, 66, 0, 2], port, 7)],
])('a daemon that says it is one %s is told nothing', async (_what, greets) => {
  const { error, told } = await toldBy(greets, 7);
  expect(error.message).toContain('is another daemon of Ceph than the one that was looked for');
  expect(error.message).toMatch(/127\.0\.0\.1:[0-9]+\/7/);
  expect(told()).toBe(0);
});

test.each([
  ['the same', HERE],
  ['not known to itself yet', [0, 0, 0, 0]],
])('one whose address is %s is the one', async (_what, host) => {
  const { error, told } = await toldBy((port) => greeting(host, port, 7), 7);
  expect(error.message).not.toContain('another daemon');
  expect(told()).toBeGreaterThan(0);
});
