import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RbdsrError } from '../../../src/base/error.ts';
import { silentLog } from '../../../src/base/log.ts';
import { startNbdServer } from '../../../src/datapath/nbd/nbd-server.ts';
import type { NbdServer } from '../../../src/datapath/nbd/nbd-server.ts';
import { MemoryDisk } from './memory-disk.ts';
import { NbdTestClient } from './nbd-test-client.ts';

const MiB = 1024 * 1024;
const FUA = 1;

describe('NBD server', () => {
  let folder: string;
  let disk: MemoryDisk;
  let server: NbdServer;
  let clients: NbdTestClient[];
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'rbdsr-datapath-'));
    disk = new MemoryDisk(64 * MiB);
    server = await startNbdServer(`${folder}/nbd.sock`, { name: 'disk', io: disk, readOnly: false }, silentLog);
    clients = [];
  });
  afterEach(async () => {
    disk.release();
    for (const { socket } of clients) socket.destroy();
    await close(server);
    rmSync(folder, { recursive: true, force: true });
  });

  test('the socket is for root alone, and one left behind is replaced', async () => {
    expect(statSync(server.socketPath).mode & 0o777).toBe(0o600);
    await close(server);
    writeFileSync(server.socketPath, '');
    server = await startNbdServer(server.socketPath, { name: 'disk', io: disk, readOnly: false }, silentLog);
    await client();
  });

  test('reads and writes what is asked, in replies that carry the cookie', async () => {
    const it = await client();
    expect(await it.ask({ type: 1, offset: 5, payload: Buffer.from('hello') })).toMatchObject({ error: 0 });
    expect(await it.ask({ type: 0, offset: 4, length: 7 })).toEqual({ error: 0, data: Buffer.from('\0hello\0') });
  });

  test('requests run at the same time and are answered as they finish', async () => {
    const it = await client();
    disk.hold();
    const many = Array.from({ length: 100 }, (_, index) => it.ask({ type: 0, offset: index * 512, length: 512 }));
    await until(() => disk.running === 100);
    disk.release();
    expect((await Promise.all(many)).every(({ error }) => error === 0)).toBe(true);
  });

  test('a write with FUA is answered after a flush, one without is not flushed', async () => {
    const it = await client();
    await it.ask({ type: 1, offset: 0, payload: Buffer.alloc(512) });
    expect(disk.flushes).toBe(0);
    await it.ask({ type: 1, flags: FUA, offset: 0, payload: Buffer.alloc(512) });
    expect(disk.flushes).toBe(1);
    await it.ask({ type: 3 });
    expect(disk.flushes).toBe(2);
  });

  test('zeroes are written without a payload; a trim changes nothing', async () => {
    const it = await client();
    disk.bytes.fill(7);
    expect(await it.ask({ type: 4, offset: 0, length: MiB })).toMatchObject({ error: 0 });
    expect(disk.bytes.subarray(0, MiB).every((byte) => byte === 7)).toBe(true);
    expect(await it.ask({ type: 6, offset: 100, length: MiB })).toMatchObject({ error: 0 });
    expect(disk.bytes.subarray(100, 100 + MiB).every((byte) => byte === 0)).toBe(true);
    expect([disk.bytes[99], disk.bytes[100 + MiB]]).toEqual([7, 7]);
  });

  test('requests outside the disk are refused and the connection goes on', async () => {
    const it = await client();
    expect(await it.ask({ type: 0, offset: disk.size - 511, length: 512 })).toMatchObject({ error: 22 });
    expect(await it.ask({ type: 1, offset: disk.size, payload: Buffer.alloc(1) })).toMatchObject({ error: 28 });
    expect(await it.ask({ type: 0, offset: 2 ** 63, length: 1 })).toMatchObject({ error: 22 });
    expect(await it.ask({ type: 0, offset: 0, length: 33 * MiB })).toMatchObject({ error: 22 });
    expect(await it.ask({ type: 9 })).toMatchObject({ error: 22 });
    expect(await it.ask({ type: 0, offset: 0, length: 1 })).toMatchObject({ error: 0 });
  });

  test('a failing device is an I/O error, a full one is ENOSPC', async () => {
    const it = await client();
    disk.failWith = new Error('broken');
    expect(await it.ask({ type: 0, offset: 0, length: 512 })).toMatchObject({ error: 5 });
    disk.failWith = new RbdsrError('io', { what: 'full', facts: { errno: 'ENOSPC' } });
    expect(await it.ask({ type: 1, offset: 0, payload: Buffer.alloc(512) })).toMatchObject({ error: 28 });
    expect(await it.ask({ type: 3 })).not.toMatchObject({ error: 0 });
  });

  test('a VHD without room for a block is a full disk', async () => {
    const it = await client();
    disk.failWith = new RbdsrError('sr-full', { what: 'no room for one more block' });
    expect(await it.ask({ type: 1, offset: 0, payload: Buffer.alloc(512) })).toMatchObject({ error: 28 });
  });

  test.each([
    ['an unknown flag', 1, 0x8000],
    ['no hole, of a write', 1, 2],
    ['fast zero, which is not offered', 6, 16],
    ['a structured reply, of a read', 0, 4],
    ['an unknown flag of a flush', 3, 32],
  ])('%s is refused, and nothing is done', async (_name, type, flags) => {
    const it = await client();
    disk.bytes.fill(7, 0, 512);
    const what = type === 1 ? { payload: Buffer.alloc(512) } : { length: type === 3 ? 0 : 512 };
    expect(await it.ask({ type, flags, offset: 0, ...what })).toMatchObject({ error: 22 });
    expect([disk.bytes[0], disk.bytesWritten, disk.flushes]).toEqual([7, 0, 0]);
    expect(await it.ask({ type: 0, flags: FUA, offset: 0, length: 1 })).toMatchObject({ error: 0 });
  });

  test('the export has its name, and none', async () => {
    const unnamed = await NbdTestClient.connect(server.socketPath, '');
    clients.push(unnamed);
    expect(await unnamed.ask({ type: 0, offset: 0, length: 1 })).toMatchObject({ error: 0 });
    await expect(NbdTestClient.connect(server.socketPath, 'other')).rejects.toThrow();
  });

  test('a read-only export refuses writes of every kind', async () => {
    await close(server);
    server = await startNbdServer(server.socketPath, { name: 'disk', io: disk, readOnly: true }, silentLog);
    const it = await client();
    expect(it.flags & 2).toBe(2);
    for (const type of [1, 4, 6]) {
      const payload = type === 1 ? { payload: Buffer.alloc(512) } : { length: 512 };
      expect(await it.ask({ type, offset: 0, ...payload })).toMatchObject({ error: 1 });
    }
    expect(await it.ask({ type: 0, offset: 0, length: 512 })).toMatchObject({ error: 0 });
  });

  test('memory is bounded however much a client asks for at once', async () => {
    const it = await client();
    disk.hold();
    const asked = Array.from({ length: 60 }, (_, index) => it.ask({ type: 0, offset: index * MiB, length: MiB }));
    await until(() => disk.running > 0);
    await settled();
    expect(disk.mostRunning).toBeLessThanOrEqual(32);
    disk.release();
    expect((await Promise.all(asked)).every(({ error }) => error === 0)).toBe(true);
    expect(disk.mostRunning).toBeLessThanOrEqual(33);
  });

  test('a client that does not read its replies is not read either', async () => {
    const it = await client();
    it.socket.pause();
    for (let index = 0; index < 400; index += 1) void it.ask({ type: 0, offset: 0, length: MiB });
    await until(() => disk.bytesRead >= 32 * MiB);
    await settled();
    expect(disk.bytesRead).toBeLessThanOrEqual(40 * MiB);
  });

  test('what is no request ends that connection and no other', async () => {
    const [bad, good] = [await client(), await client()];
    const closed = once(bad.socket, 'close');
    bad.socket.write(Buffer.alloc(28, 0xff));
    await closed;
    expect(await good.ask({ type: 0, offset: 0, length: 1 })).toMatchObject({ error: 0 });
  });

  test('a client that vanishes in the middle of a write has written nothing', async () => {
    const it = await client();
    it.socket.write(it.encode({ type: 1, offset: 0, payload: Buffer.alloc(MiB, 9) }).subarray(0, 1000));
    it.socket.destroy();
    await (await client()).ask({ type: 3 });
    expect(disk.bytes[0]).toBe(0);
  });

  test('closing answers what has arrived, then hangs up', async () => {
    const it = await client();
    disk.hold();
    const answer = it.ask({ type: 1, offset: 0, payload: Buffer.from('last words') });
    await until(() => disk.running === 1);
    const closed = close(server);
    disk.release();
    expect(await answer).toMatchObject({ error: 0 });
    await closed;
    expect(disk.bytes.toString('latin1', 0, 10)).toBe('last words');
    await expect(client()).rejects.toThrow(/ENOENT|ECONNREFUSED/);
  });

  test('a disconnect request is answered by hanging up', async () => {
    const it = await client();
    const closed = once(it.socket, 'close');
    it.send({ type: 2 });
    await closed;
  });

  test('a client that never reads its replies keeps nothing from being closed', async () => {
    const it = await client();
    it.socket.pause();
    for (let index = 0; index < 400; index += 1) void it.ask({ type: 0, offset: 0, length: MiB });
    await until(() => disk.bytesRead >= 32 * MiB);
    await server.quiesce();
    const read = disk.bytesRead;
    await server.hangUp();
    expect(disk.bytesRead).toBe(read);
  });

  test('zeroes where there are zeroes write nothing, unless the client wants the room', async () => {
    const it = await client();
    disk.bytes.fill(7, 3 * MiB, 3 * MiB + 1);
    expect(await it.ask({ type: 6, offset: 100, length: 4 * MiB })).toMatchObject({ error: 0 });
    expect([disk.bytesWritten, disk.bytes[3 * MiB]]).toEqual([256 * 1024, 0]);
    expect(await it.ask({ type: 6, flags: 2, offset: 0, length: MiB })).toMatchObject({ error: 0 });
    expect(disk.bytesWritten).toBe(256 * 1024 + MiB);
  });

  test('the zeroes of a client that has left are not written on', async () => {
    const it = await client();
    disk.bytes.fill(7);
    disk.hold();
    it.send({ type: 6, offset: 0, length: disk.size });
    await until(() => disk.running === 1);
    it.socket.destroy();
    await settled();
    disk.release();
    await settled();
    await (await client()).ask({ type: 3 });
    expect(disk.bytesWritten).toBeLessThan(MiB);
  });

  test('what a client sends after its farewell, or after nonsense, leaves no connection behind', async () => {
    const before = sockets();
    for (let index = 0; index < 20; index += 1) {
      const it = await client();
      const closed = new Promise((resolve) => it.socket.once('close', resolve));
      it.socket.write(it.encode(index % 2 === 0 ? { type: 2 } : { type: 3 }).fill(0xff, 0, index % 2 === 0 ? 0 : 4));
      for (let more = 0; more < 8; more += 1) it.socket.write(Buffer.alloc(MiB));
      await closed;
    }
    await until(() => sockets() <= before);
  });

  test('a client that says farewell without reading its replies is not kept', async () => {
    const it = await client();
    it.socket.pause();
    for (let index = 0; index < 40; index += 1) void it.ask({ type: 0, offset: 0, length: MiB });
    it.send({ type: 2 });
    const before = sockets();
    await until(() => sockets() < before);
    expect(disk.running).toBe(0);
  });

  test('a handshake whose answers are not read is not read either', async () => {
    const socket = connect(server.socketPath);
    await once(socket, 'connect');
    const list = Buffer.alloc(16);
    list.write('IHAVEOPT', 0, 'latin1');
    list.writeUInt32BE(3, 8);
    socket.write(Buffer.concat([Buffer.from([0, 0, 0, 1]), ...Array.from({ length: 500_000 }, () => list)]));
    const before = process.memoryUsage().external + process.memoryUsage().arrayBuffers;
    let taken = -1;
    while (taken !== socket.bytesWritten - socket.writableLength) {
      taken = socket.bytesWritten - socket.writableLength;
      await settled();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(socket.writableLength).toBeGreaterThan(4 * MiB);
    expect(process.memoryUsage().external + process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * MiB);
    socket.destroy();
  });

  async function client(): Promise<NbdTestClient> {
    const made = await NbdTestClient.connect(server.socketPath, 'disk');
    clients.push(made);
    return made;
  }
});

async function close(server: NbdServer): Promise<void> {
  await server.quiesce();
  await server.hangUp();
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Of this process, which is the server's too. */
function sockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'PipeWrap').length;
}

/** Resolves once the server has had several turns of its event loop, which is this process's too. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
