import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Mender } from '../../../src/base/steps.ts';
import { expectAllWalked, killsOf, type Walk } from '../../support/every-step.ts';
import { DiskInUse, type Use, UNUSED } from './disk-in-use.ts';

// Every step of every protocol of using a disk: the driver is killed after it, what there is then is exactly what the
// step says it leaves, and each command that is to mend that does. The NBD server's own: every-step-of-nbd.test.ts.

let it: DiskInUse;
beforeAll(async () => {
  it = await DiskInUse.make();
});
afterAll(() => it[Symbol.asyncDispose]());

const MARKED: Use = { ...UNUSED, marks: ['activating', 'here'], room: 'all' };
const ANCESTOR: Partial<Use> = { active: ['ancestor'], counts: ['ancestor 1 0'] };
const CHAIN: Partial<Use> = { active: ['ancestor', 'leaf'], counts: ['ancestor 1 0', 'leaf 0 1'] };
const ACTIVE: Use = { ...MARKED, ...CHAIN };
const NAMED: Pick<Use, 'names'> = { names: ['nbd', 'node', 'phy'] };
const SERVED: Use = { ...ACTIVE, ...NAMED, marks: ['here'], tapdisk: ['minor, process, image'] };
/** With the mark that vdi_deactivate finds. */
const LEAVING: Use = { ...MARKED, marks: ['here'] };

/** What each `leaves` of a step looks like, by its id: nothing more and nothing less. */
const left: Readonly<Record<string, Use>> = {
  activating: { ...UNUSED, marks: ['activating'] },
  marked: { ...MARKED, room: 'data' },
  'marked-with-room': MARKED,
  'ancestor-uncounted': { ...MARKED, active: ['ancestor'] },
  'ancestor-counted': { ...MARKED, ...ANCESTOR },
  'leaf-uncounted': { ...MARKED, ...CHAIN, counts: ['ancestor 1 0'] },
  'volumes-active': ACTIVE,
  'in-use': { ...SERVED, marks: MARKED.marks },
  'tapdisk-linked': { ...ACTIVE, names: ['phy'] },
  'tapdisk-minor': { ...ACTIVE, tapdisk: ['minor'], names: ['note', 'phy'] },
  'tapdisk-spawned': { ...ACTIVE, tapdisk: ['minor', 'process'], names: ['note', 'phy'] },
  'tapdisk-attached': { ...ACTIVE, tapdisk: ['minor, process'], names: ['note', 'phy'] },
  'tapdisk-serves': { ...ACTIVE, tapdisk: ['minor, process, image'], names: ['phy'] },
  'tapdisk-closed': { ...LEAVING, ...CHAIN, ...NAMED, tapdisk: ['minor, process'] },
  'tapdisk-detached': { ...LEAVING, ...CHAIN, ...NAMED, tapdisk: ['minor'] },
  'tapdisk-unlinked': { ...LEAVING, ...CHAIN, tapdisk: ['minor'], names: ['phy'] },
  'tapdisk-freed': { ...LEAVING, ...CHAIN, names: ['phy'] },
  'volumes-active-unserved': { ...LEAVING, ...CHAIN },
  'leaf-active-uncounted': { ...LEAVING, ...CHAIN, counts: ['ancestor 1 0'] },
  'ancestors-only': { ...LEAVING, ...ANCESTOR },
  'ancestor-active-uncounted': { ...LEAVING, active: ['ancestor'] },
  'mark-with-room': LEAVING,
  mark: { ...LEAVING, room: 'data' },
};

/** What stays when the disk has been mended, and is used no more; nothing where an id is not here. */
const stays: Readonly<Record<string, (mender: Mender) => Partial<Use>>> = {
  'ancestor-uncounted': unlessActivated,
  'ancestor-counted': () => ANCESTOR,
  'leaf-uncounted': () => ANCESTOR,
  'leaf-active-uncounted': () => ANCESTOR,
  'ancestors-only': () => ANCESTOR,
  'ancestor-active-uncounted': unlessActivated,
  'tapdisk-unlinked': () => ({ tapdisk: ['minor'] }),
};

/** The first count takes over what is active and not counted. */
function unlessActivated(mender: Mender): Partial<Use> {
  return mender === 'vdi_activate' ? {} : { active: ['ancestor'] };
}

const activating: Walk = { call: () => it.activate() };
const deactivating: Walk = { before: () => it.activate(), call: () => it.deactivate() };

const walks: Readonly<Record<string, readonly Walk[]>> = {
  vdi_activate: [activating],
  'activating a chain': [activating],
  'starting a tapdisk': [activating],
  vdi_deactivate: [deactivating],
  'deactivating a chain': [deactivating],
  'ending a tapdisk': [deactivating],
};

const menders: Readonly<Partial<Record<Mender, () => Promise<void>>>> = {
  vdi_activate: () => it.activate(),
  vdi_deactivate: () => it.deactivate(),
  'vdi_activate elsewhere': () => it.activate(1),
  sr_attach: () => it.attachSr(),
};

const TEST = 'test/host/sm/every-step-of-use.test.ts';

test.each(killsOf(TEST, walks))('%s killed at %s, mended by %s', async (_title, point, mender, _index, id, walk) => {
  await walk.before?.(0);
  await it.killedAt(point, () => walk.call(0));
  expect(await it.use()).toEqual(left[id]);

  await menders[mender]?.();
  const rest = stays[id]?.(mender) ?? {};
  await used(mender, rest);
  if (mender === 'vdi_activate') await it.deactivate();
  if (mender === 'vdi_activate elsewhere') await it.deactivate(1);
  expect(await it.use()).toEqual({ ...UNUSED, ...rest });
  await it.forget();
  await it.made.allIsWell();
});

/** Whether it is used where, and only where, the mender has it used. `rest` stays beside that. */
async function used(mender: Mender, { tapdisk = [], counts = [], active = [] }: Partial<Use>): Promise<void> {
  const [here, there] = [await it.use(), await it.use(1)];
  if (mender === 'vdi_activate') {
    const more = counts.length > 0 ? ['ancestor 2 0', 'leaf 0 1'] : SERVED.counts;
    expect(here).toEqual({ ...SERVED, counts: more, tapdisk: [...tapdisk, ...SERVED.tapdisk] });
    expect(there).toEqual({ ...UNUSED, marks: ['there'], room: 'all' });
    return;
  }
  const isElsewhere = mender === 'vdi_activate elsewhere';
  const seen: Partial<Use> = isElsewhere ? { marks: ['there'], room: 'all' } : {};
  expect(here).toEqual({ ...UNUSED, ...seen, tapdisk, counts, active });
  expect(there).toEqual(isElsewhere ? SERVED : UNUSED);
}

test('every step is killed, every state looked for, and none more', () => {
  expectAllWalked(TEST, { walks, menders, looks: left });
});
