import { afterEach, describe, expect, it } from 'vitest';
import { srUuid, vdiUuid } from '../../../src/base/ids.ts';
import { MiB } from '../../../src/base/units.ts';
import { listJournals, readJournalValue } from '../../../src/lvhd/journal/journal.ts';
import { createJournal, removeJournal } from '../../../src/lvhd/journal/journals.ts';
import { recoverJournals } from '../../../src/lvhd/journal/recover.ts';
import { loopDevice } from '../../support/lvhd-loop.ts';
import { openSrOn } from '../../support/lvhd-vectors.ts';
import type { OpenSr } from '../../support/lvhd-vectors.ts';

const SR = srUuid('5a1c7f00-1111-4222-8333-0123456789ac');
const A = vdiUuid('aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee');
const B = vdiUuid('bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee');
const VALUE = `${B}_${A}`;

async function freshSr(device: string): Promise<OpenSr> {
  const sr = await openSrOn(device, SR);
  await sr.lvm.createVg();
  return sr;
}

describe('journals on a real volume group', () => {
  afterEach(() => {
    delete process.env['RBDSR_FAULT'];
  });

  it('are made once, read back and removed', async () => {
    using loop = loopDevice(100 * MiB);
    await using sr = await freshSr(loop.device);
    const inflate = await createJournal(sr.lvm, await sr.report(), sr.openLv, {
      type: 'inflate',
      id: A,
      value: '8388608',
    });
    const clone = await createJournal(sr.lvm, await sr.report(), sr.openLv, { type: 'clone', id: A, value: VALUE });
    expect([inflate.lvName, clone.lvName]).toEqual([`inflate_${A}_8388608`, `clone_${A}_1`]);
    const report = await sr.report();
    expect(listJournals(report)).toEqual([clone, inflate]);
    expect(await readJournalValue(clone, (name) => sr.openLv(name, 'read'))).toBe(VALUE);
    await expect(
      createJournal(sr.lvm, report, sr.openLv, { type: 'inflate', id: A, value: '1' }),
    ).rejects.toMatchObject({ code: 'journal' });
    await removeJournal(sr.lvm, inflate);
    await removeJournal(sr.lvm, inflate);
    await removeJournal(sr.lvm, clone);
    expect((await sr.report()).lvs).toEqual([]);
  });

  it.each(['journal.created', 'journal.value-written'])(
    'a journal cut at %s is none, and can be made again',
    async (point) => {
      using loop = loopDevice(100 * MiB);
      await using sr = await freshSr(loop.device);
      process.env['RBDSR_FAULT'] = `${point}!error`;
      const journal = { type: 'clone', id: A, value: VALUE };
      await expect(createJournal(sr.lvm, await sr.report(), sr.openLv, journal)).rejects.toMatchObject({
        code: 'fault-point',
      });
      delete process.env['RBDSR_FAULT'];
      expect(listJournals(await sr.report())).toEqual([]);
      const entry = await createJournal(sr.lvm, await sr.report(), sr.openLv, journal);
      expect(await readJournalValue(entry, (name) => sr.openLv(name, 'read'))).toBe(VALUE);
    },
  );

  it('an inflate journal of a VDI that is gone is removed, one without a size is not guessed', async () => {
    using loop = loopDevice(100 * MiB);
    await using sr = await freshSr(loop.device);
    const world = { lvm: sr.lvm, openLv: sr.openLv, refreshElsewhere: async () => undefined };
    await createJournal(sr.lvm, await sr.report(), sr.openLv, { type: 'inflate', id: A, value: '8388608' });
    expect(await recoverJournals(world, await sr.report())).toEqual([{ type: 'inflate', vdi: A, resized: false }]);
    await sr.lvm.createLv(`VHD-${A}`, 4 * MiB);
    await createJournal(sr.lvm, await sr.report(), sr.openLv, { type: 'inflate', id: A, value: 'x' });
    await expect(recoverJournals(world, await sr.report())).rejects.toMatchObject({ code: 'journal' });
  });
});
