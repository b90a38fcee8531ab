import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { MiB } from '../../../src/base/units.ts';
import { dmName, lvPath } from '../../../src/lvm/dm-name.ts';
import type { VgReport } from '../../../src/lvm/report.ts';
import { type ChildProgram, childProgram } from '../../support/lvhd-child.ts';
import type { LoopDevice } from '../../support/lvhd-loop.ts';
import { openSrOn, unpackVectors, vectorImages } from '../../support/lvhd-vectors.ts';
import { lvmStandIn, type StandInOptions, TRANSCRIPTS } from '../../support/lvm-stand-in.ts';
import { diskIn, OWN_LVM } from './disk-states.ts';
import { VERSIONS } from './lvm-versions.ts';
import type { StandInOrder, Step } from './stand-ins-child.ts';
import { type RecordedCall, recordTranscript, type Transcript } from './record-transcript.ts';
import { type Access, DEVICE, type Disk, FIELDS, LV, NAMED, NEW, type ScriptedCall, VG } from './transcript-script.ts';

/** Class `Lvm` under each version that was recorded, on real disks. */
const { sr = '', file = '' } = vectorImages('plain')['plain-thick'] ?? {};
/** A report that names the device. */
const OURS = new RegExp(`${FIELDS} ${DEVICE}$`);
const WITHOUT = ['blank', 'other-vg', 'bare-pv', 'wiped-pv'] as const;
const DAMAGED = ['damaged-text', 'damaged-label'] as const;
let child: ChildProgram;
let vectors: ReturnType<typeof unpackVectors>;
let folder = '';
const devices = new Map<Disk, LoopDevice>();
let truth: VgReport;
beforeAll(async () => {
  child = await childProgram(`${import.meta.dirname}/stand-ins-child.ts`);
  vectors = unpackVectors('plain', [file]);
  folder = mkdtempSync(join(tmpdir(), 'rbdsr-lvm-'));
  for (const disk of ['sr', ...WITHOUT, ...DAMAGED, 'damaged-header', 'empty-vg'] as const)
    devices.set(disk, freshDevice(disk, disk));
  await using open = await openSrOn(device('sr'), sr);
  truth = plain(await open.report());
});
afterAll(() => {
  child[Symbol.dispose]();
  for (const loop of devices.values()) loop[Symbol.dispose]();
  vectors[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

const device = (disk: Disk): string => devices.get(disk)?.device ?? '';
const freshDevice = (disk: Disk, name: string): LoopDevice =>
  diskIn(disk, join(folder, name), join(vectors.folder, file));
const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** What the steps come to, one after the other, and the calls of LVM that they make. */
async function carryOut(
  version: string,
  steps: readonly Step[],
  o: Omit<Partial<StandInOptions>, 'version'> = {},
): Promise<{ results: unknown[]; calls: string[]; tables: string[] }> {
  const own = mkdtempSync(join(tmpdir(), 'rbdsr-lvm-'));
  onTestFinished(() => rmSync(own, { recursive: true, force: true }));
  const disks = Object.fromEntries([...devices].map(([disk, loop]) => [loop.device, disk]));
  const standIn = lvmStandIn(own, { version, disks, ...o });
  const order: StandInOrder = { mounts: standIn.mounts, vg: VG, steps };
  const { code, output } = await child.run([JSON.stringify(order)]);
  const calls = standIn.calls();
  expect({ code, failed: calls.filter((call) => call.startsWith('FAILED')) }, output).toEqual({ code: 0, failed: [] });
  return { results: JSON.parse(output) as unknown[], calls, tables: standIn.tables() };
}

describe.each(VERSIONS)('LVM $version ($hosts)', (row) => {
  const { version, activatesReadOnly, refreshesReadOnly } = row;

  test('its transcript is what the table says', () => {
    const { calls } = JSON.parse(readFileSync(`${TRANSCRIPTS}/${version}.json`, 'utf8')) as Transcript;
    const exits = (disk: Disk, access: Access, ...patterns: readonly RegExp[]): unknown[] =>
      patterns.map((pattern) => {
        const found = calls.filter((c) => c.disk === disk && c.access === access && pattern.test(c.argv));
        expect(found.length, `${disk} ${pattern}`).toBeGreaterThan(0);
        return Array.from(new Set(found.map(({ exit, changed }) => (changed ? `${exit}, changed` : exit))));
      });
    const all = calls.find(({ disk, access, argv }) => disk === 'sr' && access === 'slave' && argv.endsWith(FIELDS));
    const named = calls.find(({ disk, access, argv }) => disk === 'sr' && access === 'slave' && OURS.test(argv));
    expect([all?.exit, all?.stdout]).toEqual([row.reportOfAll, named?.stdout]);
    expect(exits('sr', 'slave', OURS)).toEqual([[0]]);
    expect(exits('blank', 'slave', OURS)).toEqual([[5]]);
    expect(exits('bare-pv', 'slave', OURS)).toEqual([[row.reportOfBarePv]]);
    for (const disk of ['damaged-text', 'damaged-header'] as const)
      expect(exits(disk, 'slave', OURS)).toEqual([[row.reportOfDamaged]]);
    const done = '0, changed';
    const change = row.changes === 'done' ? done : 0;
    const kinds = [/^lvcreate -Zn /, /^lvremove /, /^lvrename /, /^lvresize -f /, /^pvresize /];
    expect(exits('sr', 'slave', ...kinds)).toEqual(kinds.map(() => [change]));
    const lvChange = row.lvChanges === 'done' ? done : 5;
    expect(exits('sr', 'slave', /^lvchange -p/, /^lvchange --addtag/)).toEqual([[lvChange], [lvChange]]);
    const devices = [/^lvchange -ay .*VHD/, /^lvchange -an /, /^lvchange --refresh /];
    for (const disk of ['sr', 'sr-active'] as const)
      expect(exits(disk, 'slave', ...devices)).toEqual([
        [activatesReadOnly ? 0 : 5],
        [activatesReadOnly ? 0 : 5],
        [refreshesReadOnly ? 0 : 5],
      ]);
    expect(exits('sr-grown', 'master', / --fs /)).toEqual([[row.knowsFs ? done : 3]]);
    // Nothing to refresh is no failure.
    expect(exits('sr', 'master', /^lvchange --refresh /)).toEqual([[0]]);
  });

  test('a report is right or refused', async () => {
    const states = ['sr', ...WITHOUT, ...DAMAGED] as const;
    const steps = states.flatMap((disk) =>
      [false, true].map((writable): Step => ({ device: device(disk), writable, verb: ['report'] })),
    );
    const { results, calls } = await carryOut(version, steps);
    expect(Object.fromEntries(states.map((disk, at) => [disk, results.slice(2 * at, 2 * at + 2)]))).toEqual({
      sr: [truth, truth],
      ...Object.fromEntries(WITHOUT.map((disk) => [disk, ['none', 'none']])),
      ...Object.fromEntries(DAMAGED.map((disk) => [disk, ['sr-unavailable', 'sr-unavailable']])),
    });
    expect(calls).toHaveLength(steps.length);
  });

  test('what the master changes is there afterwards', async () => {
    using disk = freshDevice('sr', 'changed');
    using blank = freshDevice('blank', 'made');
    const on = (loop: LoopDevice, ...verb: Step['verb']): Step => ({ device: loop.device, writable: true, verb });
    const steps = [
      on(disk, 'createLv', NEW, 8 * MiB),
      on(disk, 'renameLv', NEW, NAMED),
      on(disk, 'growLv', NAMED, 16 * MiB),
      on(disk, 'shrinkLv', NAMED, 4 * MiB),
      on(disk, 'setPermission', NAMED, 'r'),
      on(disk, 'setPermission', NAMED, 'rw'),
      on(disk, 'addTag', NAMED, 'hidden'),
      on(disk, 'removeTag', NAMED, 'hidden'),
      on(disk, 'removeLv', NAMED),
      on(blank, 'createVg'),
      on(blank, 'removeVg'),
      on(blank, 'removePv'),
    ];
    const { results, calls } = await carryOut(version, steps, {
      disks: { [disk.device]: 'sr', [blank.device]: 'blank' },
    });
    expect(results).toEqual([
      expect.objectContaining({ name: NEW, sizeBytes: 8 * MiB }),
      'done',
      expect.objectContaining({ name: NAMED, sizeBytes: 16 * MiB }),
      expect.objectContaining({ name: NAMED, sizeBytes: 4 * MiB }),
      ...Array.from({ length: 8 }, () => 'done'),
    ]);
    // The metadata on the device say what these have done; LVM need not be asked.
    const next = calls.map((call, at) => [call, calls[at + 1] ?? ''] as const);
    const looked = next.filter(([call, then]) => /lvrename|lvremove/.test(call) && / pvs /.test(then));
    expect(looked).toEqual([]);
    await using open = await openSrOn(disk.device, sr);
    expect((await open.report()).lvs.map(({ name }) => name)).toEqual(truth.lvs.map(({ name }) => name));
  });

  test.each([
    ['from the device', {}, []],
    ['by LVM where the report before is not of what is there', { uuid: 'another' }, ['lvs']],
  ])('an LV that was made or resized is described alone, as in the whole report: %s', async (how, differs, lvs) => {
    using disk = freshDevice('sr', how.replaceAll(' ', '-'));
    await using open = await openSrOn(disk.device, sr);
    const before = { ...plain(await open.report()), ...differs };
    const verbs: readonly Step['verb'][] = [
      ['createLv', NEW, 8 * MiB, { before }],
      ['renameLv', NEW, NAMED],
      ['growLv', NAMED, 16 * MiB, before],
      ['shrinkLv', NAMED, 4 * MiB, before],
    ];
    const steps = verbs.flatMap((verb): Step[] =>
      [verb, ['report'] as const].map((v) => ({ device: disk.device, writable: true, verb: v })),
    );
    const { results, calls } = await carryOut(version, steps, { disks: { [disk.device]: 'sr' } });
    const looks = calls.map((call) => call.split(' ')[1]).filter((command) => command === 'pvs' || command === 'lvs');
    expect(looks).toEqual([...lvs, 'pvs', 'pvs', ...lvs, 'pvs', ...lvs, 'pvs']);
    for (const [at, name] of [NEW, '', NAMED, NAMED].entries()) {
      const whole = results[2 * at + 1] as VgReport;
      const lv = whole.lvs.find((entry) => entry.name === name);
      // What was recorded of the whole group came after an lvcreate that activates.
      if (name !== '') expect(results[2 * at]).toEqual({ ...lv, active: false });
    }
  });

  test('a change that was not done is a failure, however LVM exits', async () => {
    const refused: readonly (readonly [Disk, Step['verb'], code: string])[] = [
      ['sr', ['createLv', NEW, 8 * MiB], 'lvm-create'],
      ['sr', ['removeLv', LV], 'lvm-delete'],
      ['sr', ['renameLv', LV, NAMED], 'lvm-create'],
      ['sr', ['growLv', LV, 64 * MiB], 'lvm-resize'],
      ['sr', ['shrinkLv', LV, 4 * MiB], 'lvm-resize'],
      ['sr', ['createLv', NEW, 8 * MiB, { before: truth }], 'lvm-create'],
      ['sr', ['growLv', LV, 64 * MiB, truth], 'lvm-resize'],
      ['sr', ['shrinkLv', LV, 4 * MiB, truth], 'lvm-resize'],
      ['sr', ['setPermission', LV, 'r'], 'lvm-create'],
      ['sr', ['addTag', LV, 'hidden'], 'lvm-create'],
      ['sr', ['growPv', truth], 'lvm-resize'],
      ['blank', ['createVg'], 'vg-create'],
      ['empty-vg', ['removeVg'], 'lvm-delete'],
    ];
    const steps = refused.map(([disk, verb]): Step => ({ device: device(disk), writable: true, verb }));
    const { results } = await carryOut(version, steps, { refuses: true });
    expect(results).toEqual(refused.map(([, , code]) => code));
  });

  test('a slave activates and deactivates', async () => {
    const verbs: readonly Step['verb'][] = [
      ['activate', LV],
      ['activate', LV],
      ['deactivate', LV],
    ];
    const steps = verbs.map((verb): Step => ({ device: device('sr'), writable: false, verb }));
    const { results, calls } = await carryOut(version, steps, { vg: VG });
    expect(results).toEqual([lvPath(VG, LV), lvPath(VG, LV), 'done']);
    const asked = (option: string): string[] =>
      (activatesReadOnly ? ['slave'] : ['slave', 'master']).map((access) => `${access} lvchange ${option} ${VG}/${LV}`);
    expect(calls).toEqual(['-ay', '-ay', '-an'].flatMap(asked));
  });

  test('a table that was there before is reloaded, and looked at', async () => {
    const [segment] = truth.lvs.find(({ name }) => name === LV)?.segments ?? [];
    if (segment === undefined) throw new Error(`no extents of ${LV}`);
    const [minor] = /[0-9]+$/.exec(device('sr')) ?? [];
    const lineTo = (sector: number): string => `0 ${segment.lengthBytes / 512} linear 7:${minor} ${sector}`;
    const step: Step = { device: device('sr'), writable: false, verb: ['activateAfresh', LV] };
    const there = segment.pvOffsetBytes / 512;
    const good = await carryOut(version, [step, step], { vg: VG, table: lineTo(there) });
    expect(good.results).toEqual([lvPath(VG, LV), lvPath(VG, LV)]);
    const options = good.calls.filter((call) => call.includes('lvchange')).map((call) => call.split(' ')[2]);
    const asked = (option: string): string[] => {
      const atOnce = option === '--refresh' ? refreshesReadOnly : activatesReadOnly;
      return atOnce ? [option] : [option, option];
    };
    // The first activation makes the device, and with it the table.
    expect(options).toEqual(['-ay', '-ay', '--refresh'].flatMap(asked));
    expect(good.tables).toEqual([`table ${dmName(VG, LV)}`]);
    const stale = await carryOut(version, [step, step], { vg: VG, table: lineTo(there + 8192) });
    expect(stale.results).toEqual([lvPath(VG, LV), 'lvm-activate']);
  });
});

test.each(['2.02.130-xs7', '2.02.180-xs8'])(
  'with LVM %s a damaged header is read again, and then refused',
  async (version) => {
    const step: Step = { device: device('damaged-header'), writable: false, verb: ['report'] };
    const { results, calls } = await carryOut(version, [step]);
    expect(results).toEqual(['sr-unavailable']);
    expect(calls).toHaveLength(10);
  },
);

test('this machine’s own LVM still answers as it was recorded to', () => {
  const [, found] =
    /LVM version: +([0-9.]+)/.exec(
      execFileSync('lvm', ['version', '--driverloaded', 'n'], { encoding: 'utf8', stdio: 'pipe' }),
    ) ?? [];
  const recorded = readFileSync(`${TRANSCRIPTS}/${found}.json`, 'utf8');
  const { calls } = JSON.parse(recorded) as Transcript;
  // What needs device-mapper was recorded elsewhere.
  const wanted = ({ disk, argv }: ScriptedCall): boolean =>
    disk !== 'sr-active' && argv[0] !== 'lvchange' && disk !== 'other-vg';
  const now = recordTranscript(OWN_LVM, join(vectors.folder, file), OWN_LVM, { wanted });
  const manners = ({ disk, access, argv, exit, changed }: RecordedCall): string =>
    `${disk} ${access} ${argv}: ${exit}${changed ? ', changed' : ''}`;
  const asked = new Set(now.map((call) => `${call.disk} ${call.access} ${call.argv}`));
  const then = calls.filter((call) => asked.has(`${call.disk} ${call.access} ${call.argv}`));
  expect(now.map(manners).toSorted()).toEqual(then.map(manners).toSorted());
});
