import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { dmName } from '../../../src/lvm/dm-name.ts';
import { makeBlockNode } from '../../../src/system/io/block-node.ts';
import { type ChildProgram, childProgram } from '../../support/lvhd-child.ts';
import { dmsetupScript } from '../../support/stand-ins/recorded-dmsetup.ts';
import type { StandInOrder } from './stand-ins-child.ts';

/** What this machine has not: device-mapper. The versions of LVM are in versions.test.ts. */
const VG = 'VG_XenStorage-5a1c7f00-1111-4222-8333-0123456789ab';
const NAME = dmName(VG, 'a');
let child: ChildProgram;
let folder = '';
beforeAll(async () => {
  child = await childProgram(`${import.meta.dirname}/stand-ins-child.ts`);
});
afterAll(() => child[Symbol.dispose]());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rbdsr-lvm-'));
  return () => rmSync(folder, { recursive: true, force: true });
});

/** A program in the place of another: it notes its arguments down, then runs `body`. */
function program(name: string, body: string): readonly [string, string] {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\necho "$*" >>${folder}/${name}.log\n${body}\n`, { mode: 0o755 });
  return [path, `/usr/sbin/${name}`];
}

function calls(name: string): string[] {
  const log = join(folder, `${name}.log`);
  return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
}

type Binds = readonly (readonly [from: string, to: string])[];

async function deactivate(binds: Binds): Promise<unknown> {
  const order: StandInOrder = {
    mounts: binds.map(([from, to]) => ['mount', '--bind', from, to]),
    vg: VG,
    steps: [{ device: '/dev/loop0', writable: true, verb: ['deactivate', 'a'] }],
  };
  const { code, output } = await child.run([JSON.stringify(order)]);
  expect(code).toBe(0);
  return (JSON.parse(output) as unknown[])[0];
}

describe('after a deactivation', () => {
  /** A node of 253:250 and the link to it, where LVM has them. */
  function leftOver(): { readonly binds: Binds; readonly left: () => readonly string[] } {
    const [dev, vg] = ['mapper', 'vg'].map((name) => join(folder, name)) as [string, string];
    for (const place of [dev, vg]) mkdirSync(place);
    makeBlockNode(join(dev, NAME), 253, 250);
    symlinkSync(`/dev/mapper/${NAME}`, join(vg, 'a'));
    mkdirSync(`/dev/${VG}`, { recursive: true });
    return {
      binds: [
        [dev, '/dev/mapper'],
        [vg, `/dev/${VG}`],
      ],
      left: () =>
        [join(dev, NAME), join(vg, 'a')].filter((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined),
    };
  }

  /** The kernel's word that 253:250 is a device of this name. */
  function device(name: string): readonly [string, string] {
    mkdirSync(join(folder, 'block/253:250/dm'), { recursive: true });
    writeFileSync(join(folder, 'block/253:250/dm/name'), `${name}\n`);
    return [join(folder, 'block'), '/sys/dev/block'];
  }

  /** One that goes is forgotten by the kernel, and its node by nobody. */
  const dmsetup = (...states: readonly string[]): readonly [string, string] => {
    const path = join(folder, 'dmsetup');
    const gone = `rm -r ${join(folder, 'block/253:250')}`;
    writeFileSync(path, dmsetupScript({ log: `${path}.log`, states, gone }), { mode: 0o755 });
    return [path, '/usr/sbin/dmsetup'];
  };
  /** As versions of LVM end that have deactivated a volume (test/fixtures/lvm). */
  const lvm = (): readonly [string, string] => program('lvm', 'case "$*" in *" -an "*) exit 0 ;; *) exit 99 ;; esac');
  afterAll(() => rmSync(`/dev/${VG}`, { recursive: true, force: true }));

  test.each([
    ['without a device', undefined],
    ['of a device that has another name by now', 'vg-other'],
  ])('a node %s goes, with its link', async (_what, name) => {
    const { binds, left } = leftOver();
    const kernel = name === undefined ? [] : [device(name)];
    expect(await deactivate([...binds, ...kernel, lvm(), dmsetup('none')])).toBe('done');
    expect(left()).toEqual([]);
    expect(calls('dmsetup')).toEqual([]);
  });

  test('a device that is left is removed, and then its node', async () => {
    const { binds, left } = leftOver();
    expect(await deactivate([...binds, device(NAME), lvm(), dmsetup('free')])).toBe('done');
    expect(left()).toEqual([]);
    expect(calls('dmsetup')).toEqual([`remove ${NAME}`]);
  });

  test('one that nobody has open is removed by force', async () => {
    const { binds, left } = leftOver();
    expect(await deactivate([...binds, device(NAME), lvm(), dmsetup('open', 'free')])).toBe('done');
    expect(left()).toEqual([]);
    expect(calls('dmsetup').filter((call) => call.startsWith('remove'))).toEqual([
      `remove ${NAME}`,
      `remove --force ${NAME}`,
    ]);
  });

  test('one that somebody has open is not: it stays, with its node', async () => {
    const { binds, left } = leftOver();
    expect(await deactivate([...binds, device(NAME), lvm(), dmsetup('open')])).toBe('device-busy');
    expect(left()).toHaveLength(2);
    expect(calls('dmsetup').filter((call) => call.includes('--force'))).toEqual([]);
  });
});
