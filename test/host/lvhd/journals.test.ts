import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { srUuid, vdiUuid } from '../../../src/base/ids.ts';
import { MiB, SECTOR } from '../../../src/base/units.ts';
import { decodeJournalValue, listJournals, readJournalValue } from '../../../src/lvhd/journal/journal.ts';
import { createJournal, removeJournal } from '../../../src/lvhd/journal/journals.ts';
import { recoverJournals } from '../../../src/lvhd/journal/recover.ts';
import { expectAllWalked, killsOf } from '../../support/every-step.ts';
import { type ChildProgram, childProgram } from '../../support/lvhd-child.ts';
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

const TEST = 'test/host/lvhd/journals.test.ts';
const CLONE = { type: 'clone', id: A, value: VALUE } as const;

let child: ChildProgram;
let sr: OpenSr;
let device = '';
beforeAll(async () => {
  child = await childProgram(`${import.meta.dirname}/journal-child.ts`);
});
afterAll(() => child[Symbol.dispose]());

/** In a process of its own. */
const make = (environment: Readonly<Record<string, string>> = {}): ReturnType<ChildProgram['run']> =>
  child.run([device, SR, ...Object.values(CLONE)], environment);

const walks = {
  'a journal with its value inside': [
    {
      call: () => make(),
      killed: async (point: string) => expect(await make({ RBDSR_FAULT: point })).toMatchObject({ signal: 'SIGKILL' }),
    },
  ],
};

const menders = {
  again: async () => expect(await make()).toMatchObject({ code: 0 }),
};

/** What each `leaves` of a step looks like, by its id. */
const looks: Readonly<Record<string, () => Promise<void>>> = {
  'volume-untagged': async () => expect(await left()).toEqual({ tags: [], value: undefined }),
  'value-untagged': async () => expect(await left()).toEqual({ tags: [], value: VALUE }),
};

/** The one volume, and what is written in it. */
async function left(): Promise<{ readonly tags: readonly string[]; readonly value: string | undefined }> {
  const { lvs } = await sr.report();
  expect(lvs.map(({ name }) => name)).toEqual([`clone_${A}_1`]);
  const sector = await (await sr.openLv(`clone_${A}_1`, 'read')).read(0, SECTOR);
  const isBlank = sector.every((byte) => byte === 0);
  return { tags: lvs[0]?.tags ?? [], value: isBlank ? undefined : decodeJournalValue(sector, `clone_${A}_1`) };
}

describe('journals on a real volume group', () => {
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

  it.each(killsOf(TEST, walks))('%s killed at %s is none, and is made by %s', async (...kill) => {
    const [, point, mender, , state, walk] = kill;
    using loop = loopDevice(100 * MiB);
    await using fresh = await freshSr(loop.device);
    sr = fresh;
    ({ device } = loop);
    await walk.killed?.(point);
    expect(listJournals(await sr.report())).toEqual([]);
    await looks[state]?.();
    if (mender === 'again') await menders.again();
    const [entry, ...others] = listJournals(await sr.report());
    expect([entry?.lvName, others]).toEqual([`clone_${A}_1`, []]);
    if (entry !== undefined) expect(await readJournalValue(entry, (name) => sr.openLv(name, 'read'))).toBe(VALUE);
  });

  it('every step of a journal is killed, every state looked for, and none more', () => {
    expectAllWalked(TEST, { walks, menders, looks });
  });

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
