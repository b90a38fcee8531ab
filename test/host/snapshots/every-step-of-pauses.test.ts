import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapOf } from '../../../lab/xapi-double/database.ts';
import { callPlugin } from '../../../lab/xapi-double/plugin-call.ts';
import { vdiSnapshot } from '../../../lab/xapi-double/vdi-operations.ts';
import type { Mender } from '../../../src/base/steps.ts';
import { KiB, MiB } from '../../../src/base/units.ts';
import { readNbdState } from '../../../src/datapath/nbd/nbd-files.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { isUnfinished } from '../../../src/lvhd/names.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { expectAllWalked, killsOf, type Walk } from '../../support/every-step.ts';
import { NbdTestClient } from '../../unit/datapath/nbd-test-client.ts';
import { treeOf, uuidOf } from './agreement.ts';
import { DiskInUse } from '../sm/disk-in-use.ts';

// Every step of a snapshot from the pause of its disk to the end of that: the driver is killed after it, while a guest
// has the disk open and waits; what there is then is what the step says it leaves, and after each command that is to
// mend it the guest goes on, on the same connection, and has lost nothing.

const AT = 3 * MiB;
const LENGTH = 64 * KiB;
const SIZE = 8 * MiB;

let it: DiskInUse;
let client: NbdTestClient;
beforeAll(async () => {
  it = await DiskInUse.make();
  it.serveByNbd();
  // Its volume does not shrink when it is let go: it would grow again in pieces (active-volumes.mjs).
  it.leaf.fields['is_a_snapshot'] = false;
  await it.activate();
  client = await NbdTestClient.connect(it.nbdFiles.socket, it.uuid);
});
afterAll(async () => {
  client.socket.destroy();
  await it.deactivate();
  const left = it.volumes.on(0);
  await it[Symbol.asyncDispose]();
  expect(left).toEqual([]);
});

const started = <T>(call: () => Promise<T>): Promise<T> => it.made.pool.startedBy(it.volumes.prefix, call);
const snapshot = (): Promise<unknown> => started(() => vdiSnapshot(it.made.pool.double, it.leaf.ref));
const scan = (): Promise<void> => started(() => it.made.scan());

/** As the driver of the master asks the host for it. */
function resume(): ReturnType<typeof callPlugin> {
  const { double, sr } = it.made.pool;
  const args = { sr_uuid: sr.lvm.vg.replace('VG_XenStorage-', ''), vdi_uuid: it.uuid, host_ref: double.master.ref };
  return callPlugin(double, double.master.ref, 'rbdsr', 'resume', args);
}

const isPaused = (): boolean => Object.hasOwn(mapOf(it.leaf, 'sm_config'), 'paused');
const isServerPaused = (): boolean => readNbdState(it.nbdFiles.state)?.paused === true;

async function write(): Promise<Buffer> {
  const payload = randomBytes(LENGTH);
  expect(await client.ask({ type: 1, offset: AT, payload })).toMatchObject({ error: 0 });
  return payload;
}

/** Every block, so that its volume has nothing to give back: it would grow again in pieces (active-volumes.mjs). */
async function fill(): Promise<void> {
  const payload = randomBytes(MiB);
  for (let offset = 0; offset < SIZE; offset += MiB) await client.ask({ type: 1, offset, payload });
}

async function read(): Promise<Buffer> {
  return (await client.ask({ type: 0, offset: AT, length: LENGTH })).data;
}

async function onDisk(): Promise<Buffer> {
  const { pool } = it.made;
  const io = await openVdi(await treeOf(pool), uuidOf(it.leaf), pool.sr.openLv);
  const bytes = await io.read(AT, LENGTH);
  await io.close();
  return bytes;
}

const walks: Readonly<Record<string, readonly Walk[]>> = {
  'vdi_snapshot of a disk in use, after its journal': [
    { before: fill, call: snapshot, without: ['vdi-snapshot.after-deflate'] },
  ],
  'a paused disk goes on, on one host': [
    {
      call: snapshot,
      // The driver has died before it came to that, and then the plug-in of the host that is asked instead of it.
      killed: async (point) => {
        await started(() => it.killedAt('vdi-snapshot.after-journal-removed', snapshot));
        await it.made.pool.withEnvironment({ RBDSR_FAULT: point }, async () =>
          expect(await started(resume)).toMatchObject({ failure: expect.anything() }),
        );
      },
    },
  ],
};

const menders: Readonly<Partial<Record<Mender, (walk: Walk) => Promise<unknown>>>> = {
  again: (walk) => walk.call(0),
  sr_scan: scan,
  vdi_create: () => started(() => it.made.create()),
};

interface Remains {
  readonly journal: boolean;
  readonly unnamed: boolean;
  readonly disk: 'none' | 'leaf';
  /** Of what the guest's data are in. */
  readonly base: 'none' | 'shown' | 'hidden';
  readonly paused: boolean;
}

async function remains(): Promise<Remains> {
  const { pool } = it.made;
  const report = await pool.sr.report();
  const tree = await treeOf(pool);
  const leaf = tree.find(it.uuid);
  const known = it.made.disks().map((row) => uuidOf(row));
  const base = tree.nodes.find(({ uuid }) => !known.includes(uuid));
  expect(isServerPaused()).toBe(isPaused());
  return {
    journal: listJournals(report).length > 0,
    unnamed: report.lvs.some(({ name }) => isUnfinished(name)),
    disk: leaf === undefined ? 'none' : 'leaf',
    base: base === undefined ? 'none' : base.hidden ? 'hidden' : 'shown',
    paused: isPaused(),
  };
}

type Look = () => Promise<void>;
const are =
  (expected: Remains): Look =>
  async () =>
    expect(await remains()).toEqual(expected);
const cloning = { journal: true, unnamed: false, disk: 'none', base: 'shown', paused: true } as const;
const based = { ...cloning, journal: false, disk: 'leaf', base: 'hidden' } as const;

const looks: Readonly<Record<string, Look>> = {
  'clone-paused': are({ ...cloning, disk: 'leaf', base: 'none' }),
  'clone-renamed': are(cloning),
  'clone-deflated': are(cloning),
  'new-volume-blank': are({ ...cloning, unnamed: true }),
  'new-volume-vhd': are({ ...cloning, unnamed: true }),
  'volume-only': are({ ...cloning, disk: 'leaf' }),
  'clone-hidden': are({ ...cloning, disk: 'leaf', base: 'hidden' }),
  'base-unrecorded': are(based),
  resumed: are({ ...based, paused: false }),
  'paused-ancestor-active': are({ ...based, base: 'hidden' }),
  'paused-ancestor-counted': are({ ...based, base: 'hidden' }),
};

const TEST = 'test/host/snapshots/every-step-of-pauses.test.ts';

test.each(killsOf(TEST, walks))(
  '%s killed at %s, mended by %s (%i)',
  async (_title, name, mender, _index, left, walk) => {
    await walk.before?.(SIZE);
    const before = await write();
    await (walk.killed?.(name) ?? started(() => it.killedAt(name, () => walk.call(0))));
    await looks[left]?.();
    const waiting = read();
    await menders[mender]?.(walk);
    expect(isPaused()).toBe(false);
    expect((await waiting).equals(before)).toBe(true);
    const after = await write();
    await client.ask({ type: 3 });
    expect((await read()).equals(after)).toBe(true);
    expect((await onDisk()).equals(after)).toBe(true);
  },
);

test('every protocol has a walk, every step that is mended a command for it, every state a look, and none more', () => {
  expectAllWalked(TEST, { walks, menders, looks });
});
