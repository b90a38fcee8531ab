import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { vdiSnapshot } from '../../../lab/xapi-double/vdi-operations.ts';
import { KiB, MiB } from '../../../src/base/units.ts';
import { readNbdState } from '../../../src/datapath/nbd/nbd-files.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { NbdTestClient } from '../../unit/datapath/nbd-test-client.ts';
import { treeOf, uuidOf } from './agreement.ts';
import { DiskInUse } from '../sm/disk-in-use.ts';

// Snapshots of a disk that a host has in use, whichever host it is: the guest waits, and then goes on with the new
// leaf; what it had written before is in the snapshot, and what it writes afterwards is not.

const AT = 3 * MiB;
const READ = 0;
const WRITE = 1;

let it: DiskInUse;
// A new one each time: a volume that has shrunk and grown again may lie in pieces (active-volumes.mjs).
beforeEach(async () => {
  it = await DiskInUse.make();
  if (!expect.getState().currentTestName?.includes('tapdisk')) it.serveByNbd();
  await it.activate();
});
afterEach(async () => {
  await it.deactivate();
  const left = Object.keys(mapOf(it.leaf, 'sm_config')).filter((key) => /^(paused|activating|host_)/.test(key));
  await it[Symbol.asyncDispose]();
  expect(left).toEqual([]);
});

const connect = (): Promise<NbdTestClient> => NbdTestClient.connect(it.nbdFiles.socket, it.uuid);
const snapshot = (): Promise<Row> =>
  it.made.pool.startedBy(it.volumes.prefix, () => vdiSnapshot(it.made.pool.double, it.leaf.ref));

async function write(client: NbdTestClient, payload: Buffer): Promise<void> {
  expect(await client.ask({ type: WRITE, offset: AT, payload })).toMatchObject({ error: 0 });
}

async function read(client: NbdTestClient): Promise<Buffer> {
  return (await client.ask({ type: READ, offset: AT, length: 64 * KiB })).data;
}

/** As the SR's device holds it. */
async function onDisk(row: Row): Promise<Buffer> {
  const { pool } = it.made;
  const io = await openVdi(await treeOf(pool), uuidOf(row), pool.sr.openLv);
  const bytes = await io.read(AT, 64 * KiB);
  await io.close();
  return bytes;
}

test('a guest that has the disk open by NBD goes on, and the snapshot holds what it had written', async () => {
  const client = await connect();
  const [before, after] = [randomBytes(64 * KiB), randomBytes(64 * KiB)];
  await write(client, before);
  const taken = await snapshot();
  expect((await read(client)).equals(before)).toBe(true);
  await write(client, after);
  expect((await read(client)).equals(after)).toBe(true);
  expect((await onDisk(taken)).equals(before)).toBe(true);
  // The same server, on the new leaf.
  const state = readNbdState(it.nbdFiles.state);
  expect(state?.paused).toBeUndefined();
  expect(state?.parents.length).toBe(2);
  const [base] = (await treeOf(it.made.pool)).chain(uuidOf(it.leaf)).slice(1);
  expect(it.volumes.on(0)).toContain(base?.lvName);
  expect(stringOf(taken, 'name_label')).toBe(stringOf(it.leaf, 'name_label'));
  client.socket.destroy();
});

test('requests that come while it is paused are answered afterwards, none twice and none lost', async () => {
  const client = await connect();
  const done = new AbortController();
  const writing = (async () => {
    let last = 0;
    while (!done.signal.aborted) {
      last += 1;
      const payload = Buffer.alloc(512);
      payload.writeUInt32BE(last);
      await client.ask({ type: WRITE, offset: AT + (last % 64) * 512, payload });
    }
    return last;
  })();
  for (let count = 0; count < 3; count += 1) await snapshot();
  done.abort();
  const last = await writing;
  const found = await read(client);
  const numbers = Array.from({ length: 64 }, (_, slot) => found.readUInt32BE(slot * 512));
  const expected = Array.from({ length: 64 }, (_, slot) => last - ((last - slot) % 64));
  expect(numbers).toEqual(expected.map((number) => (number > last ? number - 64 : number)));
  client.socket.destroy();
});

test('a tapdisk is paused, and opens the new leaf, whose chain is active and counted', async () => {
  const before = await it.use();
  expect(before).toMatchObject({ tapdisk: ['minor, process, image'], active: ['ancestor', 'leaf'] });
  const taken = await snapshot();
  // As tap-ctl of that version lists it: it serves, and is not paused.
  expect(await it.use()).toEqual(before);
  const tapCtl = readFileSync(`${it.made.pool.root(0)}/tap-ctl/calls.log`, 'utf8').split('\n');
  const told = tapCtl.filter((call) => /^(un)?pause /.test(call));
  const path = `/dev/${it.made.pool.sr.lvm.vg}/VHD-${it.uuid}`;
  expect(told).toEqual([
    expect.stringMatching(/^pause -p \d+ -m \d+$/),
    expect.stringMatching(new RegExp(`^unpause -p \\d+ -m \\d+ -a vhd:${path}$`)),
  ]);
  const chain = (await treeOf(it.made.pool)).chain(it.uuid).map(({ lvName }) => lvName);
  expect(chain).toHaveLength(3);
  expect(it.volumes.on(0)).toEqual(expect.arrayContaining(chain));
  expect((await treeOf(it.made.pool)).get(uuidOf(taken)).parentUuid).toBe(
    (await treeOf(it.made.pool)).chain(it.uuid)[1]?.uuid,
  );
});

test('a tapdisk that does not pause: nothing has changed, and it serves on', async () => {
  const before = await it.use();
  const volumes = (await it.made.pool.sr.report()).lvs.map(({ name }) => name);
  writeFileSync(`${it.made.pool.root(0)}/tap-ctl/fail-pause`, '111 1');
  await expect(snapshot()).rejects.toThrow();
  expect(await it.use()).toEqual(before);
  expect((await it.made.pool.sr.report()).lvs.map(({ name }) => name)).toEqual(volumes);
  expect(Object.keys(mapOf(it.leaf, 'sm_config'))).not.toContain('paused');
});
