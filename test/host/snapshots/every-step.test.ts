import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { vdiDestroy, vdiSnapshot } from '../../../lab/xapi-double/vdi-operations.ts';
import type { Mender, Step } from '../../../src/base/steps.ts';
import { MiB } from '../../../src/base/units.ts';
import { listJournals } from '../../../src/lvhd/journal/journal.ts';
import { isUnfinished } from '../../../src/lvhd/names.ts';
import { volumeSteps } from '../../../src/lvhd/ops/vdi-create.ts';
import { openVdi } from '../../../src/lvhd/open-vdi.ts';
import { openVhd } from '../../../src/lvhd/open-vhd.ts';
import { baseRecordSteps, baseSteps, copySteps, leafSteps, noteSteps } from '../../../src/sr/disk/take-snapshot.ts';
import { checkVhd } from '../../../src/vhd/check/check.ts';
import { expectAllWalked, killsOf, type Walk } from '../../support/every-step.ts';
import { expectAgreement, treeOf, uuidOf } from './agreement.ts';
import { PoolWithDisk } from '../sm/pool-with-disk.ts';

// Every step of a snapshot, of finishing one and of undoing one: the driver is killed after it, what there is then is
// exactly what the step says it leaves, and each command that is to mend that does; the disk holds what it held.

let made: PoolWithDisk;
beforeAll(async () => {
  made = await PoolWithDisk.make();
});
afterAll(() => made[Symbol.asyncDispose]());

/** Made by `before`, with what it holds. */
let disk: Row;
let content: Buffer;

async function aDisk(bytes: number, more = {}): Promise<void> {
  disk = await made.create({ virtualSize: bytes, ...more });
  await write();
}

async function write(): Promise<void> {
  const io = await openVdi(await treeOf(made.pool), uuidOf(disk), made.pool.sr.openLv, 'write');
  await io.write(MiB, randomBytes(MiB));
  await io.close();
  content = await read();
}

async function read(): Promise<Buffer> {
  const io = await openVdi(await treeOf(made.pool), uuidOf(disk), made.pool.sr.openLv);
  const bytes = await io.read(0, io.size);
  await io.close();
  return bytes;
}

async function aRawDisk(bytes: number): Promise<void> {
  await aDisk(bytes, { smConfig: { type: 'raw' } });
  disk.fields['sm_config'] = { vdi_type: 'aio' };
}

const snapshotIt = (): Promise<unknown> => vdiSnapshot(made.pool.double, disk.ref);
const ofSnapshot = (...steps: readonly string[]): string[] => steps.map((step) => `vdi-snapshot.${step}`);

const ALL = [...noteSteps, ...baseSteps, ...volumeSteps.vhd, ...leafSteps, ...baseRecordSteps, ...copySteps];
const OF_RAW = ofSnapshot('after-rename', 'after-hidden', 'after-source-metadata');

/** All points of these but those. */
function without(steps: readonly Pick<Step<never>, 'name'>[], those: readonly string[]): string[] {
  return steps.flatMap(({ name = '' }) => (those.includes(name) ? [] : [name]));
}

const killedFirst = (point: string) => async (bytes: number) => {
  await aDisk(bytes);
  await made.killedAt(point, snapshotIt);
};

const walks: Readonly<Record<string, readonly Walk[]>> = {
  vdi_snapshot: [
    { before: aDisk, call: snapshotIt, without: ofSnapshot('after-source-metadata') },
    // What it does not do with a VHD, and what a mending needs to know of it.
    { before: aRawDisk, call: snapshotIt, without: without(ALL, OF_RAW) },
  ],
  'finishing a snapshot': [{ before: killedFirst('vdi-create.after-volume'), call: () => made.scan() }],
  'undoing a snapshot': [{ before: killedFirst('vdi-create.after-vhd'), call: () => made.scan() }],
};

const menders: Readonly<Partial<Record<Mender, (walk: Walk, bytes: number) => Promise<unknown>>>> = {
  again: (walk, bytes) => walk.call(bytes),
  sr_scan: () => made.scan(),
  vdi_create: () => made.create(),
};

/** What there is of the disk, of its base and of the new disk, on the disk and in xapi. */
interface Remains {
  readonly journal: boolean;
  /** A volume that no scan looks at. */
  readonly unnamed: 'none' | 'blank' | 'vhd';
  readonly disk: 'whole' | 'leaf' | 'none';
  readonly base: 'none' | 'full' | 'deflated' | 'hidden' | 'hidden, read-only';
  readonly copy: boolean;
  /** Records of the metadata volume are not counted for disks that only a scan has found: it has not run. */
  readonly xapi: 'disk' | 'disk, base' | 'disk on base' | 'disk on base, copy';
}

async function remains(bytes: number): Promise<Remains> {
  const { sr } = made.pool;
  const report = await sr.report();
  const tree = await treeOf(made.pool);
  const own = uuidOf(disk);
  const others = tree.nodes.filter(({ uuid }) => uuid !== own && uuid !== uuidOf(made.kept));
  const leaf = tree.find(own);
  const base = others.find(({ uuid }) => tree.children(uuid).length > 0 || leaf === undefined);
  const copy = others.find(({ uuid, parentUuid }) => uuid !== base?.uuid && parentUuid === base?.uuid);
  const unnamed = report.lvs.find(({ name }) => isUnfinished(name));
  const records = made.others().map((row) => stringOf(row, 'uuid'));
  const onBase = (disk.fields['sm_config'] as Record<string, string>)['vhd-parent'] === base?.uuid;
  const named = (uuid: string | undefined): boolean => uuid !== undefined && records.includes(uuid);
  // A blank one may hold what another disk, of another size, has left there.
  const isVhd = async (name: string): Promise<boolean> => {
    const io = await sr.openLv(name, 'read');
    const isSound = (await checkVhd(io)).every(({ severity }) => severity !== 'error');
    return isSound && (await openVhd(io, 'read')).virtualSizeBytes === bytes;
  };
  return {
    journal: listJournals(report).length > 0,
    unnamed: unnamed === undefined ? 'none' : (await isVhd(unnamed.name)) ? 'vhd' : 'blank',
    disk: leaf === undefined ? 'none' : leaf.parentUuid === undefined ? 'whole' : 'leaf',
    base: base === undefined ? 'none' : stateOfBase(base),
    copy: copy !== undefined,
    xapi: !named(base?.uuid)
      ? 'disk'
      : base === undefined || !onBase
        ? 'disk, base'
        : named(copy?.uuid)
          ? 'disk on base, copy'
          : 'disk on base',
  };

  function stateOfBase(node: NonNullable<typeof base>): Remains['base'] {
    if (node.hidden) return node.lvReadOnly ? 'hidden, read-only' : 'hidden';
    return node.kind === 'vhd' && node.lvSizeBytes < bytes ? 'deflated' : 'full';
  }
}

type Look = (bytes: number) => Promise<void>;

function are(...expected: readonly Partial<Remains>[]): Look {
  return async (bytes) => {
    const found = await remains(bytes);
    const fits = expected.some((one) =>
      Object.entries(one).every(([key, value]) => found[key as keyof Remains] === value),
    );
    expect(fits, JSON.stringify(found)).toBe(true);
  };
}

const cloning = { journal: true, unnamed: 'none', disk: 'none', copy: false, xapi: 'disk' } as const;
const based = { journal: false, unnamed: 'none', disk: 'leaf', base: 'hidden, read-only', copy: false } as const;
/** While the leaf is made, and while the new disk is. */
const making = (unnamed: Remains['unnamed']): readonly Partial<Remains>[] => [
  { ...cloning, unnamed },
  { ...based, unnamed, xapi: 'disk on base' },
];

const looks: Readonly<Record<string, Look>> = {
  'clone-journal': are({ ...cloning, disk: 'whole', base: 'none' }),
  'clone-renamed': are({ ...cloning, base: 'full' }),
  'clone-deflated': are({ ...cloning, base: 'deflated' }),
  'new-volume-blank': are(...making('blank')),
  'new-volume-vhd': are(...making('vhd')),
  'volume-only': are(
    { ...cloning, disk: 'leaf', base: 'deflated' },
    { ...cloning, disk: 'leaf', base: 'full' },
    { ...based, copy: true, xapi: 'disk on base' },
  ),
  'clone-hidden': are({ ...cloning, disk: 'leaf', base: 'hidden' }),
  'base-unrecorded': are({ ...based, base: 'hidden', xapi: 'disk' }),
  'base-read-only': are({ ...based, xapi: 'disk' }),
  'base-in-metadata': are({ ...based, xapi: 'disk' }),
  'source-in-metadata': are({ ...based, xapi: 'disk' }),
  'base-recorded': are({ ...based, xapi: 'disk, base' }),
  'base-known': are({ ...based, xapi: 'disk on base' }),
  'copy-in-metadata': are({ ...based, copy: true, xapi: 'disk on base' }),
  'copy-recorded': are({ ...based, copy: true, xapi: 'disk on base, copy' }),
  'clone-unmarked': are({ ...cloning, disk: 'leaf', base: 'deflated' }),
  'clone-marked': are({ ...cloning, disk: 'leaf', base: 'hidden' }),
  'base-alone': are({ ...cloning, unnamed: 'none', base: 'deflated' }),
  'base-shown': are({ ...cloning, unnamed: 'none', base: 'deflated' }),
  'base-of-old-size': are({ ...cloning, unnamed: 'none', base: 'full' }),
};

/** The disks, and the bases that only a collector would remove. */
async function clear(): Promise<void> {
  const { double, sr } = made.pool;
  for (const { ref, fields } of made.others()) if (fields['managed'] === true) await vdiDestroy(double, ref);
  const own = new Set(['MGT', `VHD-${uuidOf(made.kept)}`]);
  for (const { name } of (await sr.report()).lvs) if (!own.has(name)) await sr.lvm.removeLv(name);
  await made.scan();
  await made.allIsWell();
}

const TEST = 'test/host/snapshots/every-step.test.ts';
/** No two alike: a volume may hold what it held in the life before. */
let sizeMiB = 20;

test.each(killsOf(TEST, walks))(
  '%s killed at %s, mended by %s (%i)',
  async (_title, name, mender, _index, left, walk) => {
    const bytes = (sizeMiB += 2) * MiB;
    await walk.before?.(bytes);
    await made.killedAt(name, () => walk.call(bytes));
    await looks[left]?.(bytes);
    await menders[mender]?.(walk, bytes);
    expect((await read()).equals(content)).toBe(true);
    if (mender !== 'sr_scan') await made.scan();
    await expectAgreement(made.pool, { scanned: true });
    expect((await read()).equals(content)).toBe(true);
    await clear();
  },
);

test('killed while the new leaf has no name yet, then the same again', async () => {
  await aDisk(6 * MiB);
  await made.killedAt('vdi-create.after-lv', snapshotIt);
  await snapshotIt();
  expect((await read()).equals(content)).toBe(true);
});

test('every protocol has a walk, every step that is mended a command for it, every state a look, and none more', () => {
  expectAllWalked(TEST, { walks, menders, looks });
});
