import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Mender } from '../../../src/base/steps.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { readNbdState } from '../../../src/datapath/nbd/nbd-files.ts';
import { lockHolder } from '../../../src/system/locks/record-lock.ts';
import { expectAllWalked, killsOf, type Walk } from '../../support/every-step.ts';
import { NbdTestClient } from '../../unit/datapath/nbd-test-client.ts';
import { DiskInUse, type Use, UNUSED, WRITTEN_AT } from './disk-in-use.ts';

// Every step of the NBD server of a disk, which is killed after it: what there is then is exactly what the step says it
// leaves, and each command that is to mend that does.

let it: DiskInUse;
beforeAll(async () => {
  it = await DiskInUse.make();
  it.serveByNbd();
});
afterAll(() => it[Symbol.asyncDispose]());

const SERVED: Use = {
  ...UNUSED,
  marks: ['here'],
  room: 'all',
  active: ['ancestor', 'leaf'],
  counts: ['ancestor 1 0', 'leaf 0 1'],
  names: ['nbd', 'phy', 'socket', 'state'],
  outcome: 'flushed',
};

const left: Readonly<Record<string, Use>> = {
  'not-in-use': { ...UNUSED, room: 'all' },
  'nbd-holding': { ...SERVED, names: ['nbd', 'phy', 'socket'], outcome: 'holding' },
  'nbd-quiesced': { ...SERVED, names: ['nbd', 'phy'], outcome: 'holding' },
  'nbd-flushed': { ...SERVED, names: ['nbd', 'phy'] },
};

/** The server that is started meanwhile dies at this point. */
const dyingAt = (point: string, call: () => Promise<void>): Promise<void> =>
  it.made.pool.withEnvironment({ RBDSR_FAULT_NBD: point }, call);

/** By the guest, and answered; no flush follows. */
let written = '';
async function write(text: string): Promise<void> {
  written = text;
  const client = await NbdTestClient.connect(it.nbdFiles.socket, it.uuid);
  const payload = Buffer.from(text);
  expect(await client.ask({ type: 1, offset: WRITTEN_AT, payload })).toMatchObject({ error: 0 });
  client.socket.destroy();
}

async function read(): Promise<string> {
  const client = await NbdTestClient.connect(it.nbdFiles.socket, it.uuid);
  const { data } = await client.ask({ type: 0, offset: WRITTEN_AT, length: written.length });
  client.socket.destroy();
  return data.toString();
}

const walks: Readonly<Record<string, readonly Walk[]>> = {
  'starting an NBD server': [
    {
      call: () => it.activate(),
      killed: (point) => dyingAt(point, () => expect(it.activate()).rejects.toThrow('FAILURE_453')),
    },
  ],
  'ending an NBD server': [
    {
      call: () => it.deactivate(),
      killed: async (point) => {
        await dyingAt(point, () => it.activate());
        await write(randomUUID());
        // As vdi_deactivate ends it, which then tells what it finds.
        const { state, lock } = it.nbdFiles;
        process.kill(readNbdState(state)?.pid ?? 0, 'SIGTERM');
        const gone = (): true | undefined => (lockHolder(lock) === undefined ? true : undefined);
        await Deadline.after(20_000).until(gone, 'the server to die');
      },
    },
  ],
};

const menders: Readonly<Partial<Record<Mender, (id: string) => Promise<void>>>> = {
  vdi_activate: () => it.activate(),
  vdi_deactivate: async (id) => {
    if (left[id]?.outcome === 'holding')
      await expect(it.deactivate()).rejects.toThrow(/FAILURE_200 .*data may be lost/);
    await it.deactivate();
  },
};

const TEST = 'test/host/sm/every-step-of-nbd.test.ts';

test.each(killsOf(TEST, walks))('%s killed at %s, mended by %s', async (_title, point, mender, _index, id, walk) => {
  await walk.killed?.(point);
  expect(await it.use()).toEqual(left[id]);
  const isWritten = id === 'nbd-flushed';
  if (isWritten) expect(await it.contentAt(WRITTEN_AT, written.length)).toBe(written);

  await menders[mender]?.(id);
  expect(await it.use()).toEqual(mender === 'vdi_activate' ? SERVED : UNUSED);
  if (isWritten && mender === 'vdi_activate') expect(await read()).toBe(written);
  await it.deactivate();
  expect(await it.use()).toEqual(UNUSED);
  await it.forget();
  await it.made.allIsWell();
});

test('every step is killed, every state looked for, and none more', () => {
  expectAllWalked(TEST, { walks, menders, looks: left });
});
