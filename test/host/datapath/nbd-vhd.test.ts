import { mulberry32 } from '../../support/mulberry32.ts';
import { execFileSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BlockIo } from '../../../src/base/block-io.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';
import { openChain } from '../../../src/vhd/chain/chain.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { createChild } from '../../../src/vhd/image/create-child.ts';
import type { NewParent } from '../../../src/vhd/image/create-child.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { NbdTestClient } from '../../unit/datapath/nbd-test-client.ts';
import { NbdHost, VDI } from './nbd-host.ts';
import { nbdProgram } from './nbd-program.ts';

const MiB = 1024 * 1024;
const DISK = 24 * MiB;
const READ = 0;
const WRITE = 1;
const FLUSH = 3;

/** The shipped server over a VHD in a file, asked by programs that are not ours and by a client of this suite. */
describe('NBD server of a VHD', () => {
  let it: NbdHost;
  let vhd: string;
  beforeEach(async () => {
    it = new NbdHost(nbdProgram());
    vhd = it.path('disk.vhd');
    await makeVhd(vhd);
  });
  afterEach(() => it.remove());

  test('nbdinfo sees one export of the disk’s size, which can be flushed and written', async () => {
    await it.activate(vhd);
    const { exports } = JSON.parse(
      execFileSync('nbdinfo', ['--json', '--list', `nbd+unix:///?socket=${it.socket}`], { encoding: 'utf8' }),
    );
    expect(exports).toHaveLength(1);
    expect(exports[0]).toMatchObject({
      'export-name': VDI,
      'export-size': DISK,
      is_read_only: false,
      can_flush: true,
      can_fua: true,
      can_zero: true,
      can_multi_conn: false,
      block_size_preferred: 4096,
      block_size_maximum: 32 * MiB,
    });
    expect(() => execFileSync('nbdinfo', [`nbd+unix:///other?socket=${it.socket}`], { stdio: 'pipe' })).toThrow();
  });

  test('nbdcopy writes a whole image and reads it back', async () => {
    await it.activate(vhd);
    writeFileSync(it.path('in'), randomBytes(DISK));
    execFileSync('nbdcopy', ['--flush', it.path('in'), it.uri]);
    execFileSync('nbdcopy', [it.uri, it.path('out')]);
    expect(readFileSync(it.path('out')).equals(readFileSync(it.path('in')))).toBe(true);
    await it.deactivate();
    expect(await errorsOf(vhd)).toEqual([]);
    expect((await contentOf(vhd)).equals(readFileSync(it.path('in')))).toBe(true);
  });

  test('qemu-io verifies patterns it wrote, across block boundaries and unaligned', async () => {
    await it.activate(vhd);
    const commands = [
      'write -P 0x11 0 3M',
      'write -P 0x22 2096640 1k',
      'write -z 4M 1M',
      'aio_write -P 0x33 6M 64k',
      'aio_write -P 0x44 8M 64k',
      'aio_flush',
      'flush',
      'read -P 0x11 0 2096640',
      'read -P 0x22 2096640 1k',
      'read -P 0x11 2097664 1048064',
      'read -P 0 3M 3M',
      'read -P 0x33 6M 64k',
      'read -P 0x44 8M 64k',
    ];
    const text = execFileSync('qemu-io', ['-f', 'raw', ...commands.flatMap((one) => ['-c', one]), it.uri], {
      encoding: 'utf8',
    });
    expect(text).not.toMatch(/failed|error/i);
    await it.deactivate();
    expect(await errorsOf(vhd)).toEqual([]);
  });

  test('concurrent requests of every size and alignment agree with a model', async () => {
    await it.activate(vhd);
    const client = await NbdTestClient.connect(it.socket, VDI);
    const model = Buffer.alloc(DISK);
    const random = generator(20_260_131);
    for (let round = 0; round < 40; round += 1) {
      await Promise.all(
        disjointRanges(random, 16).map(([offset, length]) => writeOrRead(client, model, random, offset, length)),
      );
    }
    expect((await readAll(client)).equals(model)).toBe(true);
    client.socket.destroy();
    await it.deactivate();
    expect(await errorsOf(vhd)).toEqual([]);
    expect((await contentOf(vhd)).equals(model)).toBe(true);
  });

  test.each([1, 2, 3, 4, 5])(
    'after kill -9 (%i) the VHD is sound and every flushed write is readable',
    async (seed) => {
      const pid = await it.activate(vhd);
      const client = await NbdTestClient.connect(it.socket, VDI);
      const random = generator(seed);
      const flushed = Buffer.alloc(DISK);
      const written = Buffer.alloc(DISK);
      const length = 64 * 1024;
      for (let round = 0; round < 2 + seed; round += 1) {
        await writeSome(client, random, written, length);
        expect(await client.ask({ type: FLUSH })).toMatchObject({ error: 0 });
        written.copy(flushed);
      }
      const before = Buffer.from(written);
      // In flight at the kill: nobody knows how far they get.
      const inFlight = writeSome(client, random, written, length);
      inFlight.catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, seed));
      await it.kill(pid);
      expect(await errorsOf(vhd)).toEqual([]);
      const found = await contentOf(vhd);
      for (let offset = 0; offset < DISK; offset += 512) {
        const sector = found.subarray(offset, offset + 512);
        const old = before.subarray(offset, offset + 512).equals(sector);
        expect(old || written.subarray(offset, offset + 512).equals(sector), `sector at ${offset}`).toBe(true);
      }
      await it.activate(vhd);
      await it.deactivate();
      expect(await errorsOf(vhd)).toEqual([]);
    },
  );

  test('a child shows its ancestors’ content, raw or VHD, and leaves them as they are', async () => {
    const raw = it.path('base.raw');
    writeFileSync(raw, Buffer.alloc(DISK, 0x11));
    const middle = it.path('middle.vhd');
    const middleUuid = await makeChild(middle, { name: 'base.raw', modified: 0 });
    const leaf = it.path('leaf.vhd');
    await makeChild(leaf, { name: 'middle.vhd', uuid: middleUuid, modified: 0 });
    const parents = [{ kind: 'aio', path: raw }] as const;
    await it.activate(middle, { parents });
    execFileSync('qemu-io', ['-f', 'raw', '-c', 'write -P 0x22 1M 2M', it.uri], { stdio: 'pipe' });
    await it.deactivate();
    const before = [readFileSync(raw), readFileSync(middle)];
    await it.activate(leaf, { parents: [{ kind: 'vhd', path: middle }, ...parents] });
    const commands = ['write -P 0x33 1536k 512', 'read -P 0x11 0 1M', 'read -P 0x22 1M 512k', 'read -P 0x33 1536k 512'];
    commands.push('read -P 0x22 1573376 1571328', 'read -P 0x11 3M 21M');
    execFileSync('qemu-io', ['-f', 'raw', ...commands.flatMap((one) => ['-c', one]), it.uri], { stdio: 'pipe' });
    await it.deactivate();
    expect(
      [readFileSync(raw), readFileSync(middle)].map((now, index) => now.equals(before[index] ?? now.subarray(1))),
    ).toEqual([true, true]);
    expect(await errorsOf(leaf)).toEqual([]);
  });

  test('a chain longer than the list of its parents is refused', async () => {
    const child = it.path('child.vhd');
    await makeChild(child, { name: 'base.raw', modified: 0 });
    await expect(it.activate(child)).rejects.toMatchObject({ code: 'vhd-corrupt' });
  });

  test('a VHD whose volume has no room for one more block is a full disk', async () => {
    const thin = it.path('thin.vhd');
    await makeVhd(thin, 5 * MiB);
    await it.activate(thin);
    const client = await NbdTestClient.connect(it.socket, VDI);
    const payload = Buffer.alloc(4096, 1);
    const answers = [];
    for (let block = 0; block < 3; block += 1) {
      answers.push((await client.ask({ type: WRITE, offset: 2 * block * MiB, payload })).error);
    }
    expect(answers).toEqual([0, 0, 28]);
    client.socket.destroy();
  });

  test('a read-only disk can be read by several clients and written by none', async () => {
    await it.activate(vhd, { writable: false });
    expect(() => execFileSync('qemu-io', ['-f', 'raw', '-c', 'write 0 512', it.uri], { stdio: 'pipe' })).toThrow();
    const before = readFileSync(vhd);
    const clients = await Promise.all([1, 2, 3].map(() => NbdTestClient.connect(it.socket, VDI)));
    for (const client of clients) {
      expect(await client.ask({ type: READ, offset: 0, length: 4096 })).toMatchObject({ error: 0 });
      client.socket.destroy();
    }
    await it.deactivate();
    expect(readFileSync(vhd).equals(before)).toBe(true);
  });

  test('deactivating in the middle of writes answers what it took, and what it answered is there', async () => {
    await it.activate(vhd);
    const client = await NbdTestClient.connect(it.socket, VDI);
    const answered: number[] = [];
    const asked = Array.from({ length: 200 }, async (_, index) => {
      const payload = Buffer.alloc(4096, index + 1);
      const { error } = await client.ask({ type: WRITE, offset: index * 4096, payload });
      if (error === 0) answered.push(index);
    });
    await Promise.any(asked);
    await it.deactivate();
    const found = await contentOf(vhd);
    expect(answered.length).toBeGreaterThan(0);
    for (const index of answered) expect(found[index * 4096], `request ${index}`).toBe((index + 1) % 256);
    expect(await errorsOf(vhd)).toEqual([]);
  });
});

async function makeVhd(path: string, fileBytes?: number): Promise<void> {
  const io = await emptyFile(path, fileBytes);
  await createVhd(io, { virtualSizeBytes: DISK, uuid: randomUUID(), timestamp: new Date() });
  await io.close();
}

/** Its uuid. */
async function makeChild(path: string, parent: NewParent): Promise<string> {
  const io = await emptyFile(path);
  const uuid = randomUUID();
  await createChild(io, { virtualSizeBytes: DISK, uuid, timestamp: new Date() }, parent);
  await io.close();
  return uuid;
}

function emptyFile(path: string, bytes = DISK + 8 * MiB): Promise<BlockIo> {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, bytes);
  closeSync(fd);
  return openBlockIo(path, 'write');
}

/** What makes it unsound; a batmap that is older than it could be does not. */
async function errorsOf(path: string): Promise<unknown> {
  const io = await openBlockIo(path, 'read');
  try {
    return (await checkVhd(io)).filter(({ severity }) => severity === 'error');
  } finally {
    await io.close();
  }
}

async function contentOf(path: string): Promise<Buffer> {
  const chain = await openChain(await openBlockIo(path, 'read'), 'read', () => {
    throw new Error('it has no parent');
  });
  try {
    return await chain.read(0, DISK);
  } finally {
    await chain.close();
  }
}

async function readAll(client: NbdTestClient): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let offset = 0; offset < DISK; offset += MiB) {
    parts.push((await client.ask({ type: READ, offset, length: MiB })).data);
  }
  return Buffer.concat(parts);
}

async function writeOrRead(
  client: NbdTestClient,
  model: Buffer,
  random: () => number,
  offset: number,
  length: number,
): Promise<void> {
  if (random() < 0.3) {
    const { error, data } = await client.ask({ type: READ, offset, length });
    expect(error).toBe(0);
    expect(data.equals(model.subarray(offset, offset + length)), `read of ${length} at ${offset}`).toBe(true);
    return;
  }
  const payload = Buffer.alloc(length, 1 + Math.floor(random() * 255));
  payload.copy(model, offset);
  expect(await client.ask({ type: WRITE, offset, payload })).toMatchObject({ error: 0 });
}

/** Eight writes at once, into `image` as well. */
async function writeSome(client: NbdTestClient, random: () => number, image: Buffer, length: number): Promise<void> {
  const slots = new Set(Array.from({ length: 8 }, () => Math.floor(random() * (DISK / length))));
  await Promise.all(
    [...slots].map((slot) => {
      const payload = Buffer.alloc(length, 1 + Math.floor(random() * 255));
      payload.copy(image, slot * length);
      return client.ask({ type: WRITE, offset: slot * length, payload });
    }),
  );
}

/** Ranges that do not touch each other, so that their order does not matter; half of them whole sectors. */
function disjointRanges(random: () => number, count: number): [offset: number, length: number][] {
  const share = Math.floor(DISK / count);
  return Array.from({ length: count }, (_, index): [number, number] => {
    const unit = random() < 0.5 ? 512 : 1;
    const longest = random() < 0.1 ? share - 1024 : 16_384;
    const length = unit * (1 + Math.floor((random() * longest) / unit));
    const room = share - length;
    return [index * share + unit * Math.floor((random() * room) / unit), length];
  });
}

/** Numbers in [0, 1), the same for the same seed. */
function generator(seed: number): () => number {
  const next = mulberry32(seed);
  return () => next() / 2 ** 32;
}
