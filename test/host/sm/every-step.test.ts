import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdOn } from '../../../lab/xapi-double/driver.ts';
import { pbdPlug } from '../../../lab/xapi-double/pbd-operations.ts';
import { vdiDestroy, vdiResize } from '../../../lab/xapi-double/vdi-operations.ts';
import type { Mender } from '../../../src/base/steps.ts';
import { vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { fullVhdLvSize } from '../../../src/lvhd/sizes.ts';
import { decodeFooter, encodeFooter, FOOTER_BYTES } from '../../../src/vhd/format/footer.ts';
import { makeLog } from '../../support/cbt-logs.ts';
import { expectAllWalked, killsOf, type Walk } from '../../support/every-step.ts';
import { loseAttachRecord } from '../../support/loop-pool.ts';
import { leaveStaleEnd } from '../../support/lvhd-stale-end.ts';
import { GROWTH, leftBehind } from './left-behind.ts';
import { PoolWithDisk } from './pool-with-disk.ts';

// Every step of what changes disks and the metadata volume (src/main/protocols.ts): the driver is killed after it, what
// there is then is exactly what the step says it leaves, and each command that is to mend that does, on a pool where it
// has not been mended yet.

let made: PoolWithDisk;
beforeAll(async () => {
  made = await PoolWithDisk.make();
});
afterAll(() => made[Symbol.asyncDispose]());

const raw = { smConfig: { type: 'raw' } };

/** Made by `before`. */
let disk: Row;
const aDisk = async (virtualSize: number, more = {}): Promise<void> => {
  disk = await made.create({ virtualSize, ...more });
};
const ofDeletion = (step: string): string => `vdi-delete.${step}`;
const deleteIt = (): Promise<void> => vdiDestroy(made.pool.double, disk.ref);

const growIt = (bytes: number): Promise<unknown> => vdiResize(made.pool.double, disk.ref, bytes + GROWTH);

const pbd = (): string => pbdOn(made.pool.double, made.pool.srRef, made.pool.double.master.ref).ref;

/** Attached already, as when the toolstack is restarted. */
function plugAgain(): Promise<void> {
  made.pool.double.db.get('PBD', pbd()).fields['currently_attached'] = false;
  return pbdPlug(made.pool.double, pbd());
}

/** A footer of another VHD lies where the volume is going to end. */
async function aDiskBeforeOldData(bytes: number): Promise<void> {
  await aDisk(bytes);
  const { sr } = made.pool;
  const name = `VHD-${stringOf(disk, 'uuid')}`;
  const footer = decodeFooter(await (await sr.openLv(name, 'read')).read(0, FOOTER_BYTES), 0);
  const other = encodeFooter({ ...footer, uuid: 'f0f0f0f0-1111-4222-8333-0123456789ab' });
  await leaveStaleEnd(sr, name, fullVhdLvSize(bytes + GROWTH), other);
}

/** As the stock driver leaves one whose changed blocks it tracks. */
async function aTrackedDisk(bytes: number): Promise<void> {
  await aDisk(bytes);
  await makeLog(made.pool.sr, vdiUuid(stringOf(disk, 'uuid')), { sizeBytes: bytes });
  await made.scan();
  expect(disk.fields['cbt_enabled']).toBe(true);
}

/** On this pool, with a disk of so many bytes. */
const walks: Readonly<Record<string, readonly Walk[]>> = {
  vdi_create: [{ call: (virtualSize) => made.create({ virtualSize }) }],
  'vdi_create of a raw disk': [{ call: (virtualSize) => made.create({ virtualSize, ...raw }) }],
  vdi_delete: [
    { before: aDisk, call: deleteIt, without: ['after-log'].map(ofDeletion) },
    { before: (bytes) => aDisk(bytes, raw), call: deleteIt, without: ['after-log'].map(ofDeletion) },
    { before: aTrackedDisk, call: deleteIt, without: ['after-metadata', 'after-forget', 'after-lv'].map(ofDeletion) },
  ],
  'ending the tracking of changed blocks': [{ before: aTrackedDisk, call: growIt }],
  'growing the LV of a VHD': [{ before: aDiskBeforeOldData, call: growIt }],
  'undoing that': [
    {
      before: async (bytes) => {
        await aDiskBeforeOldData(bytes);
        await made.killedAt('inflate.footer-written', () => growIt(bytes));
      },
      call: () => made.scan(),
    },
  ],
  vdi_resize: [{ before: aDisk, call: growIt }],
  'the metadata volume at sr_attach': [
    {
      before: async () => {
        // As after a restart of the host; its device the test has open.
        made.pool.double.db.get('PBD', pbd()).fields['currently_attached'] = false;
        loseAttachRecord(made.pool.root(0), made.pool.sr.lvm.vg.replace('VG_XenStorage-', ''));
        // The next one comes to lie there, over the content of this one.
        await made.pool.sr.lvm.removeLv('MGT');
      },
      call: () => pbdPlug(made.pool.double, pbd()),
    },
  ],
  'vdi_resize of a raw disk': [{ before: (bytes) => aDisk(bytes, raw), call: growIt }],
  'metadata: create': [
    { before: () => made.pool.sr.lvm.removeLv('MGT'), call: plugAgain },
    {
      before: () => made.damageMetadata(),
      call: () => made.rebuildMetadata(),
      killed: (point) =>
        expect(made.rebuildMetadata({ RBDSR_FAULT: point })).rejects.toMatchObject({ signal: 'SIGKILL' }),
    },
  ],
  'metadata: add': [
    {
      // Its slot is the last, and is given back: of those that are left none is free.
      before: async (bytes) => {
        await aDisk(bytes);
        await deleteIt();
      },
      call: (virtualSize) => made.create({ virtualSize }),
    },
  ],
  'metadata: delete': [{ before: aDisk, call: deleteIt }],
};

const menders: Readonly<Partial<Record<Mender, (walk: Walk, bytes: number) => Promise<unknown>>>> = {
  again: (walk, bytes) => walk.call(bytes),
  sr_attach: plugAgain,
  sr_scan: () => made.scan(),
  vdi_create: () => made.create(),
};

const TEST = 'test/host/sm/every-step.test.ts';
/** No two alike: a volume may hold what it held in the life before. */
let sizeMiB = 4;

test.each(killsOf(TEST, walks))(
  '%s killed at %s, mended by %s (%i)',
  async (_title, name, mender, _index, left, walk) => {
    const bytes = (sizeMiB += 8) * MiB;
    await walk.before?.(bytes);
    await (walk.killed?.(name) ?? made.killedAt(name, () => walk.call(bytes)));
    await leftBehind[left]?.(made, bytes);
    await menders[mender]?.(walk, bytes);
    await made.allIsWell();
    for (const { ref } of made.others()) await vdiDestroy(made.pool.double, ref);
    await made.allIsWell();
  },
);

test('every protocol has a walk, every step that is mended a command for it, every state a look, and none more', () => {
  expectAllWalked(TEST, { walks, menders, looks: leftBehind });
});
