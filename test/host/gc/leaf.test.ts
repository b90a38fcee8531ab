import { randomUUID } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { vdiCreate, vdiDestroy, vdiSnapshot } from '../../../lab/xapi-double/vdi-operations.ts';
import { vdiUuid } from '../../../src/base/ids.ts';
import { MiB, SECTOR } from '../../../src/base/units.ts';
import { cbtLogName } from '../../../src/lvhd/names.ts';
import { MetadataVolume } from '../../../src/lvhd/metadata/metadata-volume.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { openVhd } from '../../../src/lvhd/open-vhd.ts';
import { VdiTree } from '../../../src/lvhd/tree.ts';
import { changedBy, makeLog } from '../../support/cbt-logs.ts';
import { OtherHolder } from '../../support/stock-locks.ts';
import { makeLinks } from './chain-in-pool.ts';
import { type LeafChain, LeafInPool } from './leaf-in-pool.ts';

// `rbdsr gc` of a leaf that no host has and that is all that hangs on its parent: the two become one volume, with the
// name of the disk and as large as it was; where it may not be, or cannot be, nothing has changed.

let it: LeafInPool;
let made: LeafChain;
beforeAll(async () => {
  it = await LeafInPool.make();
});
afterAll(() => it[Symbol.asyncDispose]());
beforeEach(async () => {
  made = await it.chain();
});

const DEFLATED = 12 * MiB;
const FULL = 16 * MiB;
const lvs = async () => (await it.pool.sr.report()).lvs.toSorted((a, b) => (a.name < b.name ? -1 : 1));

test('--dry-run says so, and changes nothing', async () => {
  const before = await lvs();
  const { parent, leaf } = made;
  const { code, output } = await it.gc(['--dry-run']);
  expect([code, output]).toEqual([
    0,
    `merge the leaf VHD-${leaf} into VHD-${parent}, which grows by 4 MiB: VHD-${leaf} is all that hangs on VHD-${parent}\n` +
      '\nNothing was changed (--dry-run).\n',
  ]);
  const { output: json } = await it.gc(['--dry-run', '--json']);
  const step = { kind: 'leaf-coalesce', vdi: leaf, into: parent, grows_by: 4 * MiB, needs: 12 * MiB };
  expect(JSON.parse(json)).toMatchObject({ plan: [step] });
  expect(await lvs()).toEqual(before);
});

test('a leaf of full size leaves a disk of full size; its log of changed blocks is untouched', async () => {
  await makeLog(it.pool.sr, made.leaf, { sizeBytes: 8 * MiB, changed: [0xa5, 0x5a] });
  const { code, output } = await it.gc();
  expect([code, output], output).toEqual([0, expect.stringContaining('1 done, 0 not.')]);
  expect(await changedBy(it.pool.sr, made.leaf, 2)).toEqual([0xa5, 0x5a]);
  await it.pool.sr.lvm.removeLv(cbtLogName(made.leaf));
  await it.isFolded(made, FULL);
});

test('a leaf that had given back what it does not use leaves such a disk', async () => {
  made = await it.chain({ leafBytes: DEFLATED });
  expect((await it.gc()).output).toContain('1 done, 0 not.');
  await it.isFolded(made, DEFLATED);
});

/** Until it is called again. */
function set(row: Row | undefined, field: string, value: unknown): () => void {
  if (row === undefined) throw new Error('no record');
  const before = row.fields[field];
  row.fields[field] = value as (typeof row.fields)[string];
  return () => {
    if (before === undefined) delete row.fields[field];
    else row.fields[field] = before;
  };
}

test('what is to stay as it is stays, and why is said', async () => {
  const { leaf } = made;
  const before = await lvs();
  const record = it.record(leaf);
  const sr = it.pool.double.db.get('SR', it.pool.srRef);
  const smConfig = it.smConfig(leaf);
  const host = it.pool.double.hosts[1]?.ref ?? '';
  for (const [row, field, value, why] of [
    [record, 'other_config', { 'leaf-coalesce': 'false' }, 'leaf-coalesce=false in its other_config'],
    [record, 'sm_config', { ...smConfig, 'leaf-coalesce': 'false' }, 'leaf-coalesce=false in its sm_config'],
    [record, 'on_boot', 'reset', 'it is reset to what it hangs on at each boot'],
    [record, 'allow_caching', true, 'hosts may cache what it hangs on'],
    [sr, 'other_config', { 'leaf-coalesce': 'false' }, 'leaf-coalesce=false in SR.other_config'],
    [record, 'sm_config', { ...smConfig, [`host_${host}`]: 'RO' }, 'a leaf is merged while no host has it'],
    [record, 'sm_config', { ...smConfig, activating: 'True' }, 'in use on a host that is about to use it'],
  ] as const) {
    const reset = set(row, field, value);
    const { code, output } = await it.gc();
    reset();
    expect([code, output], why).toEqual([0, expect.stringMatching(new RegExp(`leave VHD-${leaf}: .*${why}`))]);
  }
  expect(await lvs()).toEqual(before);
  expect(it.smConfig(leaf)).toEqual(smConfig);
});

test('a disk that a VM has plugged in stays, although no host has it active: the VM may be on its way to another', async () => {
  const { leaf } = made;
  const before = await lvs();
  const smConfig = it.smConfig(leaf);
  const { db } = it.pool.double;
  const vbd = db.create('VBD', { VDI: it.record(leaf)?.ref ?? '', currently_attached: true });
  await it.gc();
  expect(await lvs()).toEqual(before);
  expect(it.smConfig(leaf)).toEqual(smConfig);
  vbd.fields['currently_attached'] = false;
  expect((await it.gc()).output).toContain('1 done, 0 not.');
  db.destroy('VBD', vbd.ref);
  await it.isFolded(made, FULL);
});

test('a host that does not say that it has let the volumes go: nothing has changed, and the disk can be used', async () => {
  const before = await lvs();
  const smConfig = it.smConfig(made.leaf);
  // It knows nothing of the SR that it has by xapi's record.
  const known = `${it.pool.root(1)}/var/run/rbdsr`;
  renameSync(known, `${known}.away`);
  try {
    const { code, output } = await it.gc();
    expect([code, output]).toEqual([
      1,
      expect.stringMatching(/not done: merge the leaf .* may have the volume of VDI/),
    ]);
  } finally {
    rmSync(known, { recursive: true, force: true });
    renameSync(`${known}.away`, known);
  }
  expect(await lvs()).toEqual(before);
  expect(it.smConfig(made.leaf)).toEqual(smConfig);
  expect((await it.gc()).output).toContain('1 done, 0 not.');
  await it.isFolded(made, FULL);
});

test('a parent that is damaged gets nothing of the leaf, and not its name: all is as it was', async () => {
  const { parent, leaf } = made;
  const before = await lvs();
  const io = await it.pool.sr.openLv(`VHD-${parent}`, 'write');
  const { header } = await openVhd(io, 'read');
  // Block 2 has the place of block 0.
  const bat = await io.read(header.tableOffset, SECTOR);
  bat.copy(bat, 8, 0, 4);
  await io.write(header.tableOffset, bat);
  await io.flush();
  const { code, output } = await it.gc();
  expect([code, output]).toEqual([1, expect.stringContaining(`VHD-${parent} is damaged`)]);
  expect(await lvs()).toEqual(before);
  expect([await it.journals(), Object.hasOwn(it.smConfig(leaf), 'paused')]).toEqual([[], false]);
});

test('what fails when the journal is there is taken back', async () => {
  const { parent } = made;
  // In the way of the journal of the growing.
  const inTheWay = `inflate_${parent}_${8 * MiB}`;
  await it.pool.sr.lvm.createLv(inTheWay, 8 * MiB);
  const before = await lvs();
  const { code, output } = await it.gc();
  expect([code, output]).toEqual([1, expect.stringContaining('not done: merge the leaf')]);
  expect(await lvs()).toEqual(before);
  await it.readsAs(made, await it.nodes());
  expect([await it.journals(), Object.hasOwn(it.smConfig(made.leaf), 'paused')]).toEqual([[], false]);
  await it.pool.sr.lvm.removeLv(inTheWay);
  expect((await it.gc()).output).toContain('1 done, 0 not.');
  await it.isFolded(made, FULL);
});

test('a leaf that holds much becomes a base first, which is merged as any other, and then one with the rest', async () => {
  const { pool } = it;
  const [parent, leaf] = [vdiUuid(randomUUID()), vdiUuid(randomUUID())];
  const blocks = Array.from({ length: 12 }, (_, i) => [i * 2 * MiB + 4096, 4096, i + 1] as const);
  for (const { name } of await lvs()) if (name !== 'MGT') await pool.sr.lvm.removeLv(name);
  const shown = await makeLinks(pool.sr, [
    { uuid: parent, hidden: true, diskBytes: 32 * MiB, writes: [[0, 4096, 99]], lvBytes: 8 * MiB },
    { uuid: leaf, hidden: false, parent, writes: blocks, lvBytes: 32 * MiB },
  ]);
  await it.scan();
  const { output, code } = await it.gc();
  expect([code, output.split('\n').filter((line) => /^(make|merge|delete)/.test(line))], output).toEqual([
    0,
    [
      expect.stringMatching(`^make a base of what VHD-${leaf} holds \\(24 MiB\\)`),
      expect.stringMatching(`^merge VHD-.* into VHD-${parent}`),
      expect.stringMatching('^delete VHD-'),
      expect.stringMatching(`^merge the leaf VHD-${leaf} into VHD-${parent}`),
    ],
  ]);
  const nodes = await it.nodes();
  expect(nodes.map(({ lvName }) => lvName)).toEqual([`VHD-${leaf}`]);
  await it.readsAs({ ...made, leaf, shown }, nodes);
  await it.scan();
  expect(it.records().map((row) => stringOf(row, 'uuid'))).toEqual([leaf]);
});

test('a former master that may still write into the parent: what it was given stays with it', async () => {
  const { parent } = made;
  await it.gc([], { RBDSR_FAULT: 'fold.grown' });
  const bytesOf = async (): Promise<number | undefined> =>
    (await lvs()).find(({ name }) => name === `VHD-${parent}`)?.sizeBytes;
  expect(await bytesOf()).toBe(DEFLATED);
  {
    await using _late = await OtherHolder.of(`${it.pool.root(1)}/var/run/rbdsr/late/${it.srUuid}.lock`, 'shared');
    await it.scan();
    expect([await it.journals(), await bytesOf()]).toEqual([[], DEFLATED]);
    await it.readsAs(made, await it.nodes());
    expect(it.smConfig(made.leaf)).not.toHaveProperty('paused');
  }
  expect((await it.gc()).output).toContain('1 done, 0 not.');
  await it.isFolded(made, FULL);
});

test('a raw disk that had been snapshotted is raw again once its snapshot is gone', async () => {
  const { double, srRef, sr } = it.pool;
  const disk = await vdiCreate(double, {
    sr: srRef,
    virtualSize: 8 * MiB,
    nameLabel: 'raw',
    smConfig: { type: 'raw' },
  });
  disk.fields['sm_config'] = { vdi_type: 'aio' };
  const uuid = vdiUuid(stringOf(disk, 'uuid'));
  const write = async (offset: number, byte: number): Promise<void> => {
    const io = await openVdi(new VdiTree(await it.nodes()), uuid, sr.openLv, 'write');
    await io.write(offset, Buffer.alloc(4096, byte));
    await io.close();
  };
  await write(0, 1);
  const snapshot = await vdiSnapshot(double, disk.ref);
  await write(MiB, 2);
  await vdiDestroy(double, snapshot.ref);
  const { code, output } = await it.gc();
  expect(code, output).toBe(0);
  const names = (await lvs()).map(({ name }) => name);
  expect(names.filter((name) => name.includes(uuid))).toEqual([`LV-${uuid}`]);
  expect(it.smConfig(uuid)).toMatchObject({ vdi_type: 'aio' });
  expect(it.smConfig(uuid)).not.toHaveProperty('vhd-parent');
  const { vdis } = await new MetadataVolume(await sr.openLv('MGT', 'read')).read();
  expect(vdis.find((vdi) => vdi.uuid === uuid)).toMatchObject({ vdiType: 'aio', nameLabel: 'raw' });
  const io = await sr.openLv(`LV-${uuid}`, 'read');
  expect([(await io.read(0, 1))[0], (await io.read(MiB, 1))[0]]).toEqual([1, 2]);
  const before = it.records().map(({ ref, fields }) => [ref, fields]);
  await it.scan();
  expect(it.records().map(({ ref, fields }) => [ref, fields])).toEqual(before);
});
