import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { takeFairlock } from '../../../src/system/locks/fairlock.ts';

const folder = mkdtempSync(join(tmpdir(), 'rbdsr-system-fairlock-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The service as sm's fairlock.c is: the lock goes to the next connection in the order they came, in one message. */
class FairlockService implements AsyncDisposable {
  readonly path: string;
  readonly told: string[] = [];
  readonly queue: Socket[] = [];
  granted = 0;
  readonly #server: Server;
  readonly #pieces: readonly string[];

  private constructor(name: string, pieces: readonly string[]) {
    this.path = join(folder, name);
    this.#pieces = pieces;
    this.#server = createServer((socket) => this.#join(socket));
  }

  static async start(name: string, pieces: readonly string[] = ['LOCK\0']): Promise<FairlockService> {
    const service = new FairlockService(name, pieces);
    await new Promise<void>((resolve) => service.#server.listen(service.path, resolve));
    return service;
  }

  #join(socket: Socket): void {
    this.queue.push(socket);
    socket.on('data', (data) => this.told.push(data.toString()));
    socket.on('close', () => {
      const held = this.queue[0] === socket;
      this.queue.splice(this.queue.indexOf(socket), 1);
      if (held) void this.#grant();
    });
    if (this.queue.length === 1) void this.#grant();
  }

  async #grant(): Promise<void> {
    const [first] = this.queue;
    if (first === undefined) return;
    this.granted += 1;
    for (const piece of this.#pieces) {
      first.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.queue) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const soon = (): Deadline => Deadline.after(10_000);

test('takes the lock, says who holds it and gives it back', async () => {
  await using service = await FairlockService.start('plain');
  const lock = await takeFairlock(service.path, soon());
  await soon().until(() => (service.told.length > 0 ? true : undefined), 'the holder to say its name');
  expect(service.told).toEqual([expect.stringMatching(new RegExp(`^${process.pid} - \\d+(\\.\\d+)?$`))]);
  await lock.release();
  await lock.release();
  await soon().until(() => (service.queue.length === 0 ? true : undefined), 'the socket to close');
  await (await takeFairlock(service.path, soon())).release();
  expect(service.granted).toBe(2);
});

test('waits for its turn', async () => {
  await using service = await FairlockService.start('queue');
  const other = await otherHolder(service.path);
  const taking = takeFairlock(service.path, soon());
  await soon().until(() => (service.queue.length === 2 ? true : undefined), 'the waiter to connect');
  expect(service.granted).toBe(1);
  other.destroy();
  await (await taking).release();
  expect(service.granted).toBe(2);
});

test('says that others were before it when the deadline passes, and leaves the queue', async () => {
  await using service = await FairlockService.start('late');
  const other = await otherHolder(service.path);
  await expect(takeFairlock(service.path, Deadline.after(200))).rejects.toMatchObject({
    code: 'lock-busy',
    detail: { facts: { path: service.path, reason: 'late' } },
  });
  await soon().until(() => (service.queue.length === 1 ? true : undefined), 'the waiter to leave');
  other.destroy();
});

test('takes the message in pieces', async () => {
  await using service = await FairlockService.start('pieces', ['LO', 'CK', '\0']);
  await (await takeFairlock(service.path, soon())).release();
});

test('refuses to wait for itself', async () => {
  await using service = await FairlockService.start('twice');
  await using lock = await takeFairlock(service.path, soon());
  await expect(takeFairlock(lock.path, soon())).rejects.toMatchObject({ code: 'internal' });
});

test('finds a service that comes up while it tries', async () => {
  const taking = takeFairlock(join(folder, 'slow'), soon());
  await using service = await FairlockService.start('slow');
  await (await taking).release();
  expect(service.granted).toBe(1);
});

test('names the reason when there is no service', async () => {
  await expect(takeFairlock(join(folder, 'none'), Deadline.after(400))).rejects.toMatchObject({
    code: 'lock-busy',
    detail: { facts: { reason: 'ENOENT' } },
  });
});

async function otherHolder(path: string): Promise<Socket> {
  const { connect } = await import('node:net');
  const socket = connect(path);
  await new Promise((resolve) => socket.once('data', resolve));
  return socket;
}
