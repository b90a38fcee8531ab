import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Mender } from '../../../src/base/steps.ts';
import { expectAllWalked, killsOf, type Walk } from '../../support/every-step.ts';
import { ChainInUse, INNER } from './chain-in-use.ts';

// Every step of a relinking, below disks that guests have in use on two hosts: the collector is killed after it, what
// there is then is what the step says, and after each command that is to mend it the guests go on, on the same
// connections, and have lost nothing.

let it: ChainInUse;
beforeEach(async () => {
  it = await ChainInUse.make();
});
afterEach(() => it[Symbol.asyncDispose]());

const menders: Readonly<Partial<Record<Mender, () => Promise<unknown>>>> = {
  again: () => it.gc(),
  sr_scan: () => it.scan(),
};

interface Remains {
  /** Children of the node. */
  readonly below: number;
  readonly paused: boolean;
  readonly held: boolean;
}

async function remains(): Promise<Remains> {
  expect(await it.journals()).toEqual(['relink']);
  const { servers, keys } = it.paused();
  expect(servers).toEqual(keys);
  expect(new Set(keys).size).toBe(1);
  const held = it.guests.map(({ disk }) => Object.hasOwn(it.smConfig(disk), 'relinking'));
  expect(new Set(held).size).toBe(1);
  return { below: (await it.tree()).children(INNER).length, paused: keys[0] === true, held: held[0] === true };
}

const are = (expected: Remains) => async (): Promise<void> => expect(await remains()).toEqual(expected);

const looks: Readonly<Record<string, () => Promise<void>>> = {
  'relink-held': are({ below: 2, paused: true, held: true }),
  'linked-paused': are({ below: 0, paused: true, held: true }),
  'linked-held': are({ below: 0, paused: false, held: true }),
  'children-linked': are({ below: 0, paused: false, held: false }),
};

const walk: Walk = { call: async () => undefined };
const walks = { 'relinking its children': [walk] };
/** Each takes some forty drivers, on two hosts. */
const PATIENT = { timeout: 300_000 };
const TEST = 'test/host/gc/every-step-in-use.test.ts';

test.each(killsOf(TEST, walks))(
  '%s killed at %s, mended by %s (%i)',
  PATIENT,
  async (_title, name, mender, _index, left) => {
    await it.write();
    const end = await it.gc({ RBDSR_FAULT: name });
    expect(end.signal, end.output).toBe('SIGKILL');
    await looks[left]?.();
    const waiting = it.guestsRead();
    await menders[mender]?.();
    await waiting;
    await it.write();
    await it.guestsRead();
    if (mender !== 'again') expect((await it.gc()).output).toContain(' 0 not.');
    await it.isMerged();
  },
);

test('every protocol has a walk, every step that is mended a command for it, every state a look, and none more', () => {
  expectAllWalked(TEST, { walks, menders, looks });
});
