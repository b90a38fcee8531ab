import { existsSync, lstatSync, mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdUnplug } from '../../../lab/xapi-double/pbd-operations.ts';
import { vdiCreate, vdiDeactivate, vdiDetach } from '../../../lab/xapi-double/vdi-operations.ts';
import { MiB } from '../../../src/base/units.ts';
import { type LoopPool, loopPool, loseAttachRecord } from '../../support/loop-pool.ts';

let pool: LoopPool;
beforeEach(async () => {
  pool = await loopPool();
});
afterEach(() => pool[Symbol.asyncDispose]());

const uuidOfSr = (): string => stringOf(pool.double.db.get('SR', pool.srRef), 'uuid');

/** A disk as vdi_activate leaves it on the master, without what serves it: the link to its volume, and the mark. */
async function activeDisk() {
  const { double, srRef } = pool;
  const vdi = await vdiCreate(double, { sr: srRef, virtualSize: 16 * MiB });
  vdi.fields['sm_config'] = { vdi_type: 'vhd', [`host_${double.master.ref}`]: 'RW' };
  const link = `${pool.root(0)}/dev/sm/phy/${uuidOfSr()}/${stringOf(vdi, 'uuid')}`;
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(`/dev/VG_XenStorage-${uuidOfSr()}/VHD-${stringOf(vdi, 'uuid')}`, link);
  return { vdi, link };
}

const mapping = (): string => `${pool.root(0)}/sys/bus/rbd/devices/0`;

test.each([
  ['still mapped', true],
  ['not mapped any more', false],
])(
  'vdi_deactivate with the record of the attach gone and the image %s takes down what is there',
  async (_how, mapped) => {
    const { double } = pool;
    const { vdi, link } = await activeDisk();
    loseAttachRecord(pool.root(0), uuidOfSr());
    if (!mapped) renameSync(mapping(), `${pool.root(0)}/unmapped`);
    for (let time = 0; time < 2; time += 1) {
      await vdiDeactivate(double, double.master.ref, vdi.ref);
      await vdiDetach(double, double.master.ref, vdi.ref);
      expect(lstatSync(link, { throwIfNoEntry: false })).toBeUndefined();
      expect(Object.keys(vdi.fields['sm_config'] ?? {})).toEqual(['vdi_type']);
    }
  },
);

test('an image that holds another SR is not taken for this one', async () => {
  const { double } = pool;
  loseAttachRecord(pool.root(0), uuidOfSr());
  await pool.sr.lvm.removeLv('MGT');
  await pool.sr.lvm.removeVg();
  const [pbd] = double.db.where('PBD', 'SR', pool.srRef);
  await pbdUnplug(double, pbd?.ref ?? '');
  expect(existsSync(mapping())).toBe(true);
});
