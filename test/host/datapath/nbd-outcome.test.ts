import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  existsSync,
  ftruncateSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { linksOf } from '../../../src/datapath/links.ts';
import { nbdFiles } from '../../../src/datapath/nbd/nbd-files.ts';
import { openBlockIo } from '../../../src/system/io/block-device.ts';
import { createVhd } from '../../../src/vhd/image/create.ts';
import { NbdTestClient } from '../../unit/datapath/nbd-test-client.ts';
import { NbdHost, SR, VDI, soon } from './nbd-host.ts';
import { nbdProgram } from './nbd-program.ts';

const WRITE = 1;
const FLUSH = 3;
const DISK = 24 * MiB;

/** The shipped server, whose last flush fails or never comes. */
describe('NBD server that cannot write what it holds', () => {
  let it: NbdHost;
  let folder: string;
  beforeEach(async () => {
    it = new NbdHost(nbdProgram());
    folder = smallFileSystem(it);
    await makeVhd(`${folder}/disk.vhd`);
  });
  afterEach(async () => {
    delete process.env['RBDSR_FAULT_NBD'];
    await it.deactivate().catch(() => {});
    execFileSync('umount', [folder]);
    await it.remove();
  });

  test('deactivating fails with the cause when the last flush failed, and releases the disk when it is asked again', async () => {
    await it.activate(`${folder}/disk.vhd`);
    await write();
    fill(folder);
    await expect(it.deactivate()).rejects.toMatchObject({
      code: 'io',
      detail: { what: expect.stringContaining('data may be lost'), found: expect.stringContaining('ENOSPC') },
    });
    // Until it is released, no other host may have it.
    expect(it.dataPath.mayHaveLost({ sr: SR, vdi: VDI })).toBe(true);
    await expectReleased();
    expect(it.dataPath.mayHaveLost({ sr: SR, vdi: VDI })).toBe(false);
  });

  test('a disk that was flushed is not said to be lost when its server was killed', async () => {
    const pid = await it.activate(`${folder}/disk.vhd`);
    await write(true);
    await it.kill(pid);
    await expectReleased();
  });

  test('a server that was killed with unflushed writes is not called a success', async () => {
    const pid = await it.activate(`${folder}/disk.vhd`);
    await write(true);
    await write();
    await it.kill(pid);
    await expect(it.deactivate()).rejects.toMatchObject({
      code: 'io',
      detail: { found: expect.stringContaining('before it had flushed') },
    });
    await expectReleased();
  });

  test('nor is one that is killed while it ends', async () => {
    process.env['RBDSR_FAULT_NBD'] = 'nbd.quiesced';
    await it.activate(`${folder}/disk.vhd`);
    await write();
    await expect(it.deactivate()).rejects.toMatchObject({ code: 'io' });
    await expectReleased();
  });

  test('activating again is possible, and the log says what was lost', async () => {
    const log = nbdFiles(it.host, VDI).log;
    mkdirSync(dirname(log), { recursive: true });
    const pid = await it.activate(`${folder}/disk.vhd`);
    await write();
    await it.kill(pid);
    expect(it.dataPath.mayHaveLost({ sr: SR, vdi: VDI })).toBe(true);
    await it.activate(`${folder}/disk.vhd`);
    expect(readFileSync(log, 'utf8')).toMatch(/data may be lost; the server before this one: it ended before/);
    await expectReleased();
  });

  test('a second signal, as at a shutdown of the host, cuts nothing short', async () => {
    const pid = await it.activate(`${folder}/disk.vhd`);
    const slow = Array.from({ length: 10 }, (_, index) => write(false, index * 2 * MiB));
    await Promise.all(slow);
    for (let times = 0; times < 5; times += 1) process.kill(pid, 'SIGTERM');
    await expectReleased();
  });

  test('a second signal while the last flush is under way does not make a success of one that fails', async () => {
    const pid = await it.activate(`${folder}/disk.vhd`);
    await write();
    fill(folder);
    execFileSync('fsfreeze', ['--freeze', folder]);
    const ended = expect(it.deactivate()).rejects.toMatchObject({
      code: 'io',
      detail: { found: expect.stringContaining('ENOSPC') },
    });
    try {
      // Its state file goes first; what it then writes waits for the file system.
      while (existsSync(nbdFiles(it.host, VDI).state)) await new Promise((resolve) => setTimeout(resolve, 10));
      for (let times = 0; times < 5; times += 1) {
        process.kill(pid, 'SIGTERM');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      expect(existsSync(`/proc/${pid}`)).toBe(true);
    } finally {
      execFileSync('fsfreeze', ['--unfreeze', folder]);
    }
    await ended;
    await expectReleased();
  });

  async function expectReleased(): Promise<void> {
    await it.deactivate();
    expect(await it.dataPath.list(SR, soon())).toEqual([]);
    const { phy, nbd = '' } = linksOf(it.host, { sr: SR, vdi: VDI });
    expect([phy, nbd].filter((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined)).toEqual([]);
    expect(readdirSync(`${it.host.paths.runDir}/nbd`)).toEqual([`${VDI}.lock`]);
    await it.deactivate();
  }

  /** 4 KiB in a block of their own, answered. */
  async function write(flush = false, offset = 0): Promise<void> {
    const client = await NbdTestClient.connect(it.socket, VDI);
    const payload = Buffer.alloc(4096, 0x5a);
    expect(await client.ask({ type: WRITE, offset, payload })).toMatchObject({ error: 0 });
    if (flush) expect(await client.ask({ type: FLUSH })).toMatchObject({ error: 0 });
    client.socket.destroy();
  }
});

/** A file system of its own, which can be filled. */
function smallFileSystem(it: NbdHost): string {
  const [image, folder] = [it.path('small.img'), it.path('small')];
  execFileSync('truncate', ['--size', '48M', image]);
  execFileSync('mkfs.ext4', ['-q', '-m', '0', '-O', '^has_journal', image]);
  mkdirSync(folder);
  execFileSync('mount', ['-o', 'loop', image, folder]);
  return folder;
}

/** With whole files, then with what is left. */
function fill(folder: string): void {
  for (const size of ['1M', '4k', '512']) {
    try {
      execFileSync('dd', ['if=/dev/zero', `of=${folder}/filler-${size}`, `bs=${size}`, 'conv=fsync'], {
        stdio: 'pipe',
      });
    } catch {
      expect(existsSync(`${folder}/filler-${size}`)).toBe(true);
    }
  }
}

/** Sparse, so that the places of its blocks are taken as they are written. */
async function makeVhd(path: string): Promise<void> {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, DISK + 8 * MiB);
  closeSync(fd);
  const io = await openBlockIo(path, 'write');
  await createVhd(io, { virtualSizeBytes: DISK, uuid: randomUUID(), timestamp: new Date() });
  await io.close();
}
