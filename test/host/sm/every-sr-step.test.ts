import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Mender } from '../../../src/base/steps.ts';
import { expectAllWalked, killsOf, type Walk } from '../../support/every-step.ts';
import { ImageForSr, type SrState } from './image-for-sr.ts';

// Every step of what makes, maps, unmaps and deletes an SR (src/main/protocols.ts): the driver is killed after it, what
// there is then is exactly what the step says it leaves, and each command that is to mend that does, on an image where
// it has not been mended yet. The kernel's RBD client is a stand-in here; the real one: test/lab/scenarios/crashes.ts.

const TEST = 'test/host/sm/every-sr-step.test.ts';

let made: ImageForSr;
beforeAll(async () => {
  made = await ImageForSr.make();
});
afterAll(() => made[Symbol.asyncDispose]());

const anSr = async (): Promise<void> => {
  await made.begin();
  await made.create();
};

/** On a host that has nothing of it mapped. */
const walks: Readonly<Record<string, readonly Walk[]>> = {
  'mapping an image': [
    { before: anSr, call: () => made.attach() },
    {
      before: async () => {
        await anSr();
        await made.killedAt('ceph.map.after-add', () => made.probe());
        expect(await made.state()).toMatchObject({ mapped: 'read-only' });
      },
      call: () => made.attach(),
    },
  ],
  'unmapping an image': [
    {
      before: async () => {
        await anSr();
        await made.attach();
      },
      call: () => made.detach(),
    },
  ],
  sr_create: [{ before: () => made.begin('absent'), call: () => made.create('128MiB') }],
  sr_delete: [{ before: anSr, call: () => made.delete() }],
};

const menders: Readonly<Partial<Record<Mender, (walk: Walk) => Promise<unknown>>>> = {
  again: (walk) => walk.call(0),
  sr_introduce: () => made.introduce(),
  sr_forget: () => made.forget(),
};

const IMAGE = { image: 'there' } as const;
const UNMADE = { ...IMAGE, noted: false, recorded: false } as const;
const ATTACHED = { ...IMAGE, noted: true, recorded: true } as const;

/** What each `leaves` of a step looks like, by its id: nothing more and nothing less. */
const looks: Readonly<Record<string, SrState>> = {
  'image-blank': { ...UNMADE, mapped: 'no', holds: 'nothing' },
  'image-blank-mapped': { ...UNMADE, mapped: 'yes', holds: 'nothing' },
  'sr-empty-mapped': { ...UNMADE, mapped: 'yes', holds: 'an empty SR' },
  'sr-recorded-mapped': { ...UNMADE, mapped: 'yes', holds: 'an empty SR', recorded: true },
  'not-mapped': { ...IMAGE, mapped: 'no', holds: 'an empty SR', noted: false, recorded: true },
  'mapped-unnoted': { ...IMAGE, mapped: 'yes', holds: 'an empty SR', noted: false, recorded: true },
  'mapped-noted': { ...ATTACHED, mapped: 'yes', holds: 'an SR' },
  'not-mapped-noted': { ...ATTACHED, mapped: 'no', holds: 'an SR' },
  'sr-empty-attached': { ...ATTACHED, mapped: 'yes', holds: 'an empty SR' },
  'image-with-remains': { ...ATTACHED, mapped: 'yes', holds: 'remains' },
  'image-blank-attached': { ...ATTACHED, mapped: 'yes', holds: 'nothing' },
  'image-blank-noted': { ...ATTACHED, mapped: 'no', holds: 'nothing' },
};

test.each(killsOf(TEST, walks))(
  '%s killed at %s, mended by %s (%i)',
  async (_title, point, mender, _index, id, walk) => {
    await walk.before?.(0);
    await made.killedAt(point, () => walk.call(0));
    expect(await made.state()).toEqual(looks[id]);
    await menders[mender]?.(walk);
    await made.allIsWell();
  },
);

test('every protocol has a walk, every step that is mended a command for it, every state a look, and none more', () => {
  expectAllWalked(TEST, { walks, menders, looks });
});
