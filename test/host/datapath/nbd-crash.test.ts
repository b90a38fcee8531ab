import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hasCode } from '../../../src/base/error.ts';
import { MiB } from '../../../src/base/units.ts';
import { nbdFiles } from '../../../src/datapath/nbd/nbd-files.ts';
import { startNbdProcess } from '../../../src/datapath/nbd/nbd-start.ts';
import { lockHolder } from '../../../src/system/locks/record-lock.ts';
import { NbdTestClient } from '../../unit/datapath/nbd-test-client.ts';
import { type NbdHost, SR, VDI, soon } from './nbd-host.ts';
import { nbdProgram } from './nbd-program.ts';
import { rawDiskHost } from './raw-disk-host.ts';

const RAW = { kind: 'aio' } as const;

/** The server killed at each of its fault points, and workers that die while it starts. */
describe('NBD server that dies', () => {
  let it: NbdHost;
  let disk: string;
  beforeEach(() => {
    ({ it, disk } = rawDiskHost(MiB));
  });
  afterEach(async () => {
    delete process.env['RBDSR_FAULT_NBD'];
    await it.remove();
  });

  test.each(['nbd.listening', 'nbd.connected'])(
    'at %s: the activation fails, and the next one works',
    async (point) => {
      process.env['RBDSR_FAULT_NBD'] = point;
      await expect(it.activate(disk, RAW)).rejects.toMatchObject({ code: 'tapdisk-failed' });
      delete process.env['RBDSR_FAULT_NBD'];
      expect(await it.dataPath.list(SR, soon())).toEqual([]);
      await it.activate(disk, RAW);
      await write(it, 'again');
    },
  );

  test('at nbd.closed: the deactivation succeeds and what was written is there', async () => {
    process.env['RBDSR_FAULT_NBD'] = 'nbd.closed';
    await it.activate(disk, RAW);
    delete process.env['RBDSR_FAULT_NBD'];
    await write(it, 'before');
    await it.deactivate();
    expect(await it.dataPath.list(SR, soon())).toEqual([]);
    await it.activate(disk, RAW);
    expect(await read(it, 6)).toBe('before');
  });

  test('two servers that start at once end as one, which both activations use', async () => {
    const other = startNbdProcess(nbdProgram(), order(), soon()).then(
      () => 'serves',
      (error: unknown) => hasCode(error, 'lock-busy') && 'gave way',
    );
    const pid = await it.activate(disk, RAW);
    expect(['serves', 'gave way']).toContain(await other);
    expect(lockHolder(nbdFiles(it.host, VDI).lock)?.pid).toBe(pid);
    await write(it, 'one');
  });

  test('a disk served read-only is not silently taken for a writable one', async () => {
    await it.activate(disk, { ...RAW, writable: false });
    await expect(it.activate(disk, RAW)).rejects.toMatchObject({ code: 'tapdisk-running' });
  });

  test('a state file that is no state file is no server', async () => {
    await it.activate(disk, RAW);
    await it.deactivate();
    writeFileSync(nbdFiles(it.host, VDI).state, '{ "pid"');
    expect(await it.dataPath.list(SR, soon())).toEqual([]);
    await it.activate(disk, RAW);
    await write(it, 'fine');
  });

  test('a folder of servers that cannot be read is not one without servers', async () => {
    const folder = `${it.host.paths.runDir}/nbd`;
    rmSync(folder, { recursive: true, force: true });
    expect(await it.dataPath.list(SR, soon())).toEqual([]);
    mkdirSync(it.host.paths.runDir, { recursive: true });
    writeFileSync(folder, '');
    await expect(it.dataPath.list(SR, soon())).rejects.toThrow('ENOTDIR');
    rmSync(folder);
  });

  test('deactivating leaves nothing but the lock file', async () => {
    await it.activate(disk, RAW);
    await it.deactivate();
    expect(readdirSync(`${it.host.paths.runDir}/nbd`)).toEqual([`${VDI}.lock`]);
  });

  function order(): Parameters<typeof startNbdProcess>[1] {
    const served = { sr: SR, vdi: VDI, ...RAW, target: disk, writable: true, parents: [] };
    return { disk: served, files: nbdFiles(it.host, VDI), kernelDevice: false };
  }
});

async function write(it: NbdHost, text: string): Promise<void> {
  const client = await NbdTestClient.connect(it.socket, VDI);
  expect(await client.ask({ type: 1, offset: 0, payload: Buffer.from(text) })).toMatchObject({ error: 0 });
  expect(await client.ask({ type: 3 })).toMatchObject({ error: 0 });
  client.socket.destroy();
}

async function read(it: NbdHost, length: number): Promise<string> {
  const client = await NbdTestClient.connect(it.socket, VDI);
  const { data } = await client.ask({ type: 0, offset: 0, length });
  client.socket.destroy();
  return data.toString();
}
