import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';
import { NbdTestClient } from '../../unit/datapath/nbd-test-client.ts';
import { type NbdHost, VDI } from './nbd-host.ts';
import { rawDiskHost } from './raw-disk-host.ts';

const SIZE = 64 * MiB;

/** Clients that stand still at every place where the shipped server could wait for them. */
const PEERS: Readonly<Record<string, (socketPath: string) => Promise<void>>> = {
  async 'never reads its replies'(socketPath) {
    const client = await NbdTestClient.connect(socketPath, VDI);
    client.socket.pause();
    for (let index = 0; index < 200; index += 1) void client.ask({ type: 0, offset: 0, length: MiB });
    await written(client.socket);
  },
  async 'writes on without reading the replies'(socketPath) {
    const client = await NbdTestClient.connect(socketPath, VDI);
    client.socket.pause();
    for (let index = 0; index < 40; index += 1) void client.ask({ type: 0, offset: 0, length: MiB });
    for (let index = 0; index < 40; index += 1) void client.ask({ type: 1, offset: MiB, payload: Buffer.alloc(MiB) });
    await new Promise((resolve) => setTimeout(resolve, 200));
  },
  async 'sends half a header'(socketPath) {
    const client = await NbdTestClient.connect(socketPath, VDI);
    client.socket.write(client.encode({ type: 0, offset: 0, length: 512 }).subarray(0, 14));
    await written(client.socket);
  },
  async 'sends half a payload'(socketPath) {
    const client = await NbdTestClient.connect(socketPath, VDI);
    client.socket.write(client.encode({ type: 1, offset: MiB, payload: Buffer.alloc(MiB, 9) }).subarray(0, 5000));
    await written(client.socket);
  },
  async 'stays in the handshake'(socketPath) {
    const socket = connect(socketPath);
    await once(socket, 'connect');
    socket.on('error', () => {});
  },
  async 'asks for lists without reading them'(socketPath) {
    const socket = connect(socketPath);
    await once(socket, 'connect');
    socket.on('error', () => {});
    const list = Buffer.from('49484156454f50540000000300000000', 'hex');
    socket.write(Buffer.concat([Buffer.from([0, 0, 0, 1]), ...Array.from({ length: 100_000 }, () => list)]));
    await new Promise((resolve) => setTimeout(resolve, 200));
  },
  async 'says farewell and goes on'(socketPath) {
    const client = await NbdTestClient.connect(socketPath, VDI);
    client.socket.pause();
    for (let index = 0; index < 20; index += 1) void client.ask({ type: 0, offset: 0, length: MiB });
    client.send({ type: 2 });
    client.socket.write(Buffer.alloc(4 * MiB));
    await new Promise((resolve) => setTimeout(resolve, 200));
  },
  async 'has gigabytes of zeroes written'(socketPath) {
    const client = await NbdTestClient.connect(socketPath, VDI);
    for (let index = 0; index < 250; index += 1)
      client.send({ type: 6, flags: NO_HOLE, offset: MiB, length: SIZE - MiB });
    await new Promise((resolve) => setTimeout(resolve, 200));
  },
};
const NO_HOLE = 2;

describe('NBD server with a client that', () => {
  let it: NbdHost;
  let disk: string;
  beforeEach(() => {
    ({ it, disk } = rawDiskHost(SIZE));
  });
  afterEach(() => it.remove());

  test.each(Object.entries(PEERS))(
    '%s: what others wrote is flushed, and the disk is released',
    async (_name, stand) => {
      await it.activate(disk, { kind: 'aio' });
      await Promise.all([stand(it.socket), stand(it.socket), stand(it.socket)]);
      const other = await NbdTestClient.connect(it.socket, VDI);
      expect(await other.ask({ type: 1, offset: 0, payload: Buffer.from('another') })).toMatchObject({ error: 0 });
      expect(await other.ask({ type: 3 })).toMatchObject({ error: 0 });
      await it.deactivate();
      const io = await openBlockIo(disk, 'read');
      expect((await io.read(0, 7)).toString()).toBe('another');
      await io.close();
      await it.activate(disk, { kind: 'aio' });
      await it.deactivate();
    },
  );
});

async function written(socket: NbdTestClient['socket']): Promise<void> {
  await new Promise<void>((resolve) => socket.write(Buffer.alloc(0), () => resolve()));
}
