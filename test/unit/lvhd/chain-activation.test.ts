import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { RbdsrError } from '../../../src/base/error.ts';
import { srUuid } from '../../../src/base/ids.ts';
import {
  activateChain,
  type ActivationWorld,
  deactivateChain,
  type DeactivationWorld,
} from '../../../src/lvhd/chain-activation.ts';
import type { VdiNode } from '../../../src/lvhd/lv-table.ts';
import { RefCounts } from '../../../src/lvhd/refcount.ts';
import { id, node } from './vdi-node.ts';

let folder = '';
let counts: RefCounts;
beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/rbdsr-chain-`);
  counts = new RefCounts(srUuid(id(0)), {
    deadline: Deadline.after(10_000),
    places: { root: `${folder}/refcount`, lockRoot: `${folder}/lock` },
  });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** LVM of a host: which volumes are active; `refused` is one it will not activate. */
function host(refused = '') {
  const active = new Set<string>();
  const calls: string[] = [];
  const made = (verb: string) => async (name: string) => {
    if (name === refused) throw new Error(`no ${name}`);
    const { normal, binary } = counts.read(id(Number(name.slice(2))));
    calls.push(`${verb} ${name} at ${normal}+${binary}`);
    active.add(name);
    return name;
  };
  const lvm: ActivationWorld['lvm'] = {
    activate: made('activate'),
    activateAfresh: made('afresh'),
    async refreshStale(name: string) {
      calls.push(`refresh ${name} if stale`);
    },
    async deactivate(name: string) {
      calls.push(`deactivate ${name}`);
      active.delete(name);
    },
    forCleanUp: () => lvm,
  };
  const volume = (n: number): VdiNode => node(n, { lvName: `lv${n}`, active: active.has(`lv${n}`) });
  return { active, calls, world: { lvm, counts }, chain: (...ns: number[]) => ns.map(volume) };
}

describe('chain activation', () => {
  it('counts a shared base once per leaf and lets it go with the last', async () => {
    const { active, world, chain } = host();
    await activateChain(world, chain(1, 9));
    await activateChain(world, chain(1, 9));
    await activateChain(world, chain(2, 9));
    expect(counts.read(id(9))).toEqual({ normal: 2, binary: 0 });
    expect(counts.read(id(1))).toEqual({ normal: 0, binary: 1 });
    await deactivateChain(world, chain(1, 9));
    await deactivateChain(world, chain(1, 9));
    expect([...active].toSorted()).toEqual(['lv2', 'lv9']);
    await deactivateChain(world, chain(2, 9));
    expect([...active]).toEqual([]);
    expect(counts.read(id(9))).toEqual({ normal: 0, binary: 0 });
  });

  it('lets go of all but the ancestor that is in use, which stays counted and is told', async () => {
    const { active, world, chain } = host();
    await activateChain(world, chain(1, 7, 8, 9));
    const busy = new RbdsrError('device-busy', { what: 'lv8 is in use' });
    const { deactivate } = world.lvm;
    const stubborn: DeactivationWorld = {
      ...world,
      lvm: { deactivate: (name) => (name === 'lv8' ? Promise.reject(busy) : deactivate(name)) },
    };
    expect(await deactivateChain(stubborn, chain(1, 7, 8, 9))).toEqual([{ lvName: 'lv8', error: busy }]);
    expect([...active]).toEqual(['lv8']);
    expect([7, 8, 9].map((n) => counts.read(id(n)).normal)).toEqual([0, 1, 0]);
    expect(counts.read(id(1)).binary).toBe(0);
  });

  it('is all or nothing', async () => {
    const { active, world, chain } = host('lv1');
    await expect(activateChain(world, chain(1, 8, 9))).rejects.toThrow('no lv1');
    expect([...active]).toEqual([]);
    for (const n of [1, 8, 9]) expect(counts.read(id(n))).toEqual({ normal: 0, binary: 0 });
  });

  it('takes nothing for granted that is active and not counted: it is reloaded before its first count, the base first', async () => {
    const { active, calls, world, chain } = host();
    for (const name of ['lv1', 'lv2', 'lv9']) active.add(name);
    await activateChain(world, chain(1, 9));
    await activateChain(world, chain(2, 9));
    expect(calls).toEqual(['afresh lv9 at 0+0', 'afresh lv1 at 0+0', 'afresh lv2 at 0+0']);
    counts.reset();
    calls.length = 0;
    await activateChain(world, chain(1, 9));
    expect(calls).toEqual(['afresh lv9 at 0+0', 'afresh lv1 at 0+0']);
  });

  it('looks at the table of a leaf that is counted and active: a call that died may have grown it since', async () => {
    const { calls, world, chain } = host();
    await activateChain(world, chain(1, 9));
    calls.length = 0;
    await activateChain(world, chain(1, 9));
    expect(calls).toEqual(['refresh lv1 if stale']);
  });

  it('activates again what a counted disk lacks', async () => {
    const { active, world, chain } = host();
    await activateChain(world, chain(1, 9));
    active.clear();
    await activateChain(world, chain(1, 9));
    expect([...active].toSorted()).toEqual(['lv1', 'lv9']);
    expect(counts.read(id(9))).toEqual({ normal: 1, binary: 0 });
  });
});
