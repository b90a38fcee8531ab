import { copyFileSync, rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { readNbdState } from '../../../src/datapath/nbd/nbd-files.ts';
import { failure } from '../../support/xapi-failure.ts';
import { makeUnreadable } from '../../support/lvhd-loop.ts';
import { NbdTestClient } from '../../unit/datapath/nbd-test-client.ts';
import { DiskInUse, type Use, UNUSED, WRITTEN_AT } from '../sm/disk-in-use.ts';

// A disk that is in use on a host whose every read the cluster refuses, as after a fence: the device answers with EIO.

let it: DiskInUse;
beforeAll(async () => {
  it = await DiskInUse.make();
});
afterEach(() => it.forget());
afterAll(() => it[Symbol.asyncDispose]());

/** What it hangs on cannot be told, and goes with the SR. */
const LET_GO: Use = { ...UNUSED, room: 'all', active: ['ancestor'], counts: ['ancestor 1 0'] };
const SERVED_BY_NBD: Use = {
  ...LET_GO,
  marks: ['here'],
  active: ['ancestor', 'leaf'],
  counts: ['ancestor 1 0', 'leaf 0 1'],
  names: ['nbd', 'phy', 'socket', 'state'],
  outcome: 'flushed',
};

/** Meanwhile it is so. */
async function refused(work: () => Promise<void>): Promise<void> {
  const { loop } = it.made.pool;
  const whole = `${loop.file}.whole`;
  copyFileSync(loop.file, whole);
  makeUnreadable(loop, 0);
  try {
    await work();
  } finally {
    copyFileSync(whole, loop.file);
    rmSync(whole);
  }
}

/** Its volume gives back what a snapshot does not use. */
async function used(): Promise<void> {
  await it.activate();
  await it.deactivate();
}

test('deactivating lets its tapdisk, its volume and its mark go', async () => {
  await it.activate();
  await refused(() => it.deactivate());
  expect(await it.use()).toEqual(LET_GO);
  await used();
});

test('one that lost writes is told once, with what to do, and let go then', async () => {
  it.serveByNbd();
  await it.activate();
  const client = await NbdTestClient.connect(it.nbdFiles.socket, it.uuid);
  const payload = Buffer.from('no flush follows');
  expect(await client.ask({ type: 1, offset: WRITTEN_AT, payload })).toMatchObject({ error: 0 });
  client.socket.destroy();
  process.kill(readNbdState(it.nbdFiles.state)?.pid ?? 0, 'SIGKILL');

  await refused(async () => {
    const lost = await failure(it.deactivate());
    expect(lost.message).toContain(`the last writes of VDI ${it.uuid} are lost`);
    expect(lost.message).toContain('Deactivating again releases it, without a reboot; then unplug and plug the PBD');
  });
  expect(await it.use()).toEqual({ ...SERVED_BY_NBD, names: [], outcome: 'told' });

  await refused(() => it.deactivate());
  expect(await it.use()).toEqual(LET_GO);
  await used();
});
