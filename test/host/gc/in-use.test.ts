import { afterEach, beforeEach, expect, test } from 'vitest';
import { mkdirSync } from 'node:fs';
import { Deadline } from '../../../src/base/deadline.ts';
import { openVhd } from '../../../src/lvhd/open-vhd.ts';
import { dmName } from '../../../src/lvm/dm-name.ts';
import { takeRecordLock } from '../../../src/system/locks/record-lock.ts';
import { planParentChange, writePieces } from '../../../src/vhd/image/change-parent.ts';
import { BASE, ChainInUse, INNER, SECOND } from './chain-in-use.ts';

// `rbdsr gc` below disks that guests have in use, on the master and on another host: they wait for a moment, and go on.

let it: ChainInUse;
beforeEach(async () => {
  it = await ChainInUse.make();
});
afterEach(() => it[Symbol.asyncDispose]());

/** Each takes some forty drivers, on two hosts, and one waits for a host twice. */
const PATIENT = { timeout: 300_000 };

test('a node is merged below guests on two hosts: both go on, and no host has it any more', PATIENT, async () => {
  for (const host of [0, 1]) expect(it.volumes.on(host)).toContain(`VHD-${INNER}`);
  const { code, output } = await it.gc();
  expect([code, output], output).toEqual([0, expect.stringContaining('2 done, 0 not.')]);
  expect(output).toMatch(/in use: for a moment guests wait, on .+, .+\)/);
  await it.isMerged();
});

test(
  'a host that cannot pause its disk: the merge is put off, guests go on, and the next does it',
  PATIENT,
  async () => {
    const folder = `${it.pool.root(1)}/var/lock/sm/${SECOND}`;
    mkdirSync(folder, { recursive: true });
    {
      await using _busy = await takeRecordLock(`${folder}/vdi`, { wait: false, deadline: Deadline.after(1000) });
      const { code, output } = await it.gc();
      expect([code, output]).toEqual([1, expect.stringContaining('not done: ')]);
      expect(await it.journals()).toEqual(['relink']);
      expect((await it.tree()).children(INNER)).toHaveLength(2);
      expect(it.paused().servers).toEqual([false, false]);
      await it.guestsRead();
    }
    expect((await it.gc()).output).toContain(' 0 not.');
    await it.isMerged();
  },
);

test(
  'what a stock collector has relinked below a guest that has the node open: the guest reopens first',
  PATIENT,
  async () => {
    expect(await it.gc({ RBDSR_FAULT: 'coalesce.relink-noted' })).toMatchObject({ signal: 'SIGKILL' });
    const { sr } = it.pool;
    const name = dmName(sr.lvm.vg, `VHD-${BASE}`);
    const { uuid } = (await openVhd(await sr.openLv(`VHD-${BASE}`, 'read'), 'read')).footer;
    for (const { lvName } of (await it.tree()).children(INNER)) {
      const io = await sr.openLv(lvName, 'write');
      const { texts, header } = planParentChange(await openVhd(io, 'read'), { name, modified: 0, uuid });
      await writePieces(io, [...texts, header]);
    }
    for (const host of [0, 1]) expect(it.volumes.on(host)).toContain(`VHD-${INNER}`);
    expect((await it.gc()).output).toContain(' 0 not.');
    await it.isMerged();
  },
);
