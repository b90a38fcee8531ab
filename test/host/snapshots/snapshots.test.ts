import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiClone, vdiCreate, vdiDestroy, vdiSnapshot } from '../../../lab/xapi-double/vdi-operations.ts';
import type { VdiUuid } from '../../../src/base/ids.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { MiB } from '../../../src/base/units.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { fullVhdLvSize } from '../../../src/lvhd/sizes.ts';
import type { VdiTree } from '../../../src/lvhd/tree.ts';
import { type LoopPool, loopPool } from '../../support/loop-pool.ts';
import { expectAgreement, treeOf, uuidOf } from './agreement.ts';

// Snapshots and clones of disks that no host has active, on real LVM: what is on the disk, in the metadata volume and
// in xapi, and what each of them reads as afterwards.

const SIZE = 16 * MiB;
const EMPTY = 8 * MiB;

let pool: LoopPool;

const tree = (): Promise<VdiTree> => treeOf(pool);
const expectWell = (): Promise<void> => expectAgreement(pool);

async function read(row: Row): Promise<Buffer> {
  const io = await openVdi(await tree(), uuidOf(row), pool.sr.openLv);
  const bytes = await io.read(0, SIZE);
  await io.close();
  return bytes;
}

/** 1 MiB of noise at so many MiB; answers the whole content. */
async function write(row: Row, atMiB: number): Promise<Buffer> {
  const io = await openVdi(await tree(), uuidOf(row), pool.sr.openLv, 'write');
  await io.write(atMiB * MiB, randomBytes(MiB));
  await io.close();
  return read(row);
}

function make(more: Partial<Parameters<typeof vdiCreate>[1]> = {}): Promise<Row> {
  return vdiCreate(pool.double, { sr: pool.srRef, virtualSize: SIZE, nameLabel: 'disk', ...more });
}

/** By name, with what it hangs on and the size of its volume in MiB: base copies are named by what hangs on them. */
async function shape(names: Readonly<Record<string, Row>>): Promise<Record<string, string>> {
  const nodes = await tree();
  const named = new Map(Object.entries(names).map(([name, row]) => [stringOf(row, 'uuid'), name]));
  const title = (uuid: VdiUuid): string => {
    const own = named.get(uuid);
    return (
      own ??
      `base of ${nodes
        .children(uuid)
        .map((child) => title(child.uuid))
        .toSorted()
        .join(' and ')}`
    );
  };
  return Object.fromEntries(
    nodes.nodes.map((node) => {
      const on = node.parentUuid === undefined ? '' : ` on ${title(node.parentUuid)}`;
      const flags = `${node.hidden ? ' hidden' : ''}${node.lvReadOnly ? ' read-only' : ''}`;
      return [title(node.uuid), `${node.kind} ${node.lvSizeBytes / MiB}${flags}${on}`];
    }),
  );
}

describe.each(['thick', 'thin'] as const)('in a %s SR', (allocation) => {
  beforeEach(async () => {
    pool = await loopPool({ allocation });
  });
  afterEach(() => pool[Symbol.asyncDispose]());
  const full = fullVhdLvSize(SIZE) / MiB;
  const leaf = allocation === 'thick' ? full : EMPTY / MiB;

  test('a snapshot holds what the disk held, and what is written to the disk afterwards is its own', async () => {
    const disk = await make();
    const before = await write(disk, 3);
    const snapshot = await vdiSnapshot(pool.double, disk.ref);
    expect(await shape({ disk, snapshot })).toEqual({
      'base of disk and snapshot': `vhd 8 hidden read-only`,
      disk: `vhd ${leaf} on base of disk and snapshot`,
      snapshot: 'vhd 8 on base of disk and snapshot',
    });
    await expectWell();
    expect((await read(disk)).equals(before)).toBe(true);
    const after = await write(disk, 5);
    expect((await read(snapshot)).equals(before)).toBe(true);
    expect((await read(disk)).equals(after)).toBe(true);
    expect(snapshot.fields).toMatchObject({ is_a_snapshot: true, snapshot_of: disk.ref, name_label: 'disk' });
    await srScan(pool.double, pool.srRef);
    await expectWell();
  });

  test('clones of a snapshot and of a clone, which hang on what they show the same as', async () => {
    const disk = await make();
    await write(disk, 1);
    const snapshot = await vdiSnapshot(pool.double, disk.ref);
    const content = await read(snapshot);
    // The snapshot itself holds nothing, so a clone of it is a sibling.
    const clone = await vdiClone(pool.double, snapshot.ref);
    const own = await write(clone, 7);
    const second = await vdiClone(pool.double, clone.ref);
    expect(await shape({ disk, snapshot, clone, second })).toEqual({
      'base of base of clone and second and disk and snapshot': 'vhd 8 hidden read-only',
      'base of clone and second': 'vhd 8 hidden read-only on base of base of clone and second and disk and snapshot',
      disk: `vhd ${leaf} on base of base of clone and second and disk and snapshot`,
      snapshot: 'vhd 8 on base of base of clone and second and disk and snapshot',
      clone: `vhd ${leaf} on base of clone and second`,
      second: `vhd ${leaf} on base of clone and second`,
    });
    for (const [row, expected] of [
      [disk, content],
      [snapshot, content],
      [clone, own],
      [second, own],
    ] as const)
      expect((await read(row)).equals(expected)).toBe(true);
    await expectWell();
    await vdiDestroy(pool.double, second.ref);
    expect((await read(clone)).equals(own)).toBe(true);
  });
});

describe('in a thick SR', () => {
  beforeEach(async () => {
    pool = await loopPool({ sizeBytes: 256 * MiB });
  });
  afterEach(() => pool[Symbol.asyncDispose]());

  test('an empty disk without a parent becomes a base all the same, on which a storage motion relies', async () => {
    const disk = await make();
    const snapshot = await vdiSnapshot(pool.double, disk.ref);
    expect(Object.keys(await shape({ disk, snapshot }))).toContain('base of disk and snapshot');
    await expectWell();
  });

  test('a raw disk of which nobody asked that it be raw becomes the base of VHDs', async () => {
    const disk = await make({ smConfig: { type: 'raw' } });
    await expect(vdiSnapshot(pool.double, disk.ref)).rejects.toThrow('SR_OPERATION_NOT_SUPPORTED');
    disk.fields['sm_config'] = { vdi_type: 'aio' };
    const io = await pool.sr.openLv(`LV-${uuidOf(disk)}`, 'write');
    await io.write(MiB, randomBytes(MiB));
    const content = await read(disk);
    const snapshot = await vdiSnapshot(pool.double, disk.ref);
    expect(await shape({ disk, snapshot })).toEqual({
      'base of disk and snapshot': 'aio 16 hidden read-only',
      disk: `vhd ${fullVhdLvSize(SIZE) / MiB} on base of disk and snapshot`,
      snapshot: 'vhd 8 on base of disk and snapshot',
    });
    for (const row of [disk, snapshot]) expect((await read(row)).equals(content)).toBe(true);
    await srScan(pool.double, pool.srRef);
    await expectWell();
  });

  test('a host that begins to write to the disk meanwhile: no snapshot, and nothing has changed', async () => {
    const disk = await make();
    await write(disk, 2);
    const { double } = pool;
    const before = await pool.sr.report();
    const marks = async (): Promise<void> => {
      const asked = double.calls.length;
      const isRead = (): true | undefined =>
        double.calls.slice(asked).some(({ method }) => method === 'VDI.get_record') ? true : undefined;
      await Deadline.after(20_000).until(isRead, 'the driver to read the record of the disk');
      const mark = { [`host_${double.hosts[1]?.ref ?? ''}`]: 'RW' };
      disk.fields['sm_config'] = { ...mapOf(disk, 'sm_config'), ...mark };
    };
    const marked = marks();
    await expect(vdiSnapshot(double, disk.ref)).rejects.toThrow('has come into use while its snapshot');
    await marked;
    expect((await pool.sr.report()).lvs).toEqual(before.lvs);
    expect(Object.keys(mapOf(disk, 'sm_config'))).not.toContain('paused');
    disk.fields['sm_config'] = { vdi_type: 'vhd', 'image-format': 'vhd' };
    await expectWell();
  });

  test('without room nothing has changed', async () => {
    const disk = await make();
    await write(disk, 2);
    const { freeBytes } = await pool.sr.report();
    await make({ virtualSize: freeBytes - 12 * MiB, smConfig: { type: 'raw' } });
    const before = await pool.sr.report();
    await expect(vdiSnapshot(pool.double, disk.ref)).rejects.toMatchObject({ code: 'SR_BACKEND_FAILURE_44' });
    expect(await pool.sr.report()).toEqual(before);
    await expectWell();
  });
});
