import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { HostVersion } from '../../../lab/host-trees/host-versions.ts';
import type { Mender } from '../../../src/base/steps.ts';
import { isWell } from '../../../src/installer/changing/finding.ts';
import { checkHost } from '../../../src/installer/check-host.ts';
import { disable } from '../../../src/installer/disable.ts';
import { enable, repair } from '../../../src/installer/enable.ts';
import { expectAllWalked, stepsOf } from '../../support/every-step.ts';
import { recordedSystemd, UNRECORDED } from '../../../lab/hosts/recorded-systemd.ts';
import { enableAs010 } from './enabled-by-0-1-0.ts';
import { fixture, type HostFixture, useHosts } from './host-fixture.ts';
import { useKilledCommand } from './killed-command.ts';
import { CALLS, leftBehind, pathsOf, type Scene, toldOf } from './left-behind.ts';

// Every step of every protocol of the installer (src/main/protocols.ts): the built command is killed after it, whenever
// it comes by; what there is then is exactly what the step says it leaves, and each command that is to mend that does,
// on a host where it has not been mended yet.

const hosts = useHosts();
const command = useKilledCommand();

/** How a protocol is come to. */
interface Walk {
  readonly version: HostVersion;
  readonly separateEntry?: true;
  /** What the host has behind it; it comes as its packages leave it. */
  readonly before?: (host: HostFixture) => Promise<unknown>;
  readonly verb: 'enable' | 'repair' | 'disable';
  readonly exitCode?: number;
  /** Nothing of what services are told of is other than before. */
  readonly isTold?: true;
  /** Kills it at the step; else the command is killed each time that it comes by. */
  readonly kill?: (template: HostFixture, name: string, pass: number) => HostFixture;
}

const enabled = (host: HostFixture): Promise<unknown> => enable(host.open());

const OBSTACLE = '/usr/bin/rbdsr';
const inTheWay = (host: HostFixture): void => host.write(`${OBSTACLE}/in-the-way`, '');
const isObstructed = (host: HostFixture): boolean => host.open().has(`${OBSTACLE}/in-the-way`);

async function drifted(host: HostFixture): Promise<void> {
  await enabled(host);
  for (const path of ['/opt/xensource/sm/RBDSR', '/etc/systemd/system/rbdsr-release.service']) host.remove(path);
}

/** In a mount namespace of its own, so that nothing stays mounted. */
const ELSEWHERE = `set -e
root=$1 node=$2 cli=$3 fault=$4
cp -a "$root" "$root.copy"
mount -t tmpfs -o mode=755 tmpfs "$root/var/lib"
cp -a "$root.copy/var/lib/." "$root/var/lib/"
RBDSR_ROOT=$root RBDSR_FAULT=$fault "$node" "$cli" enable && exit 1
rm -r "$root.copy"
cp -a "$root" "$root.killed"`;

function killedElsewhere(template: HostFixture, name: string, pass: number): HostFixture {
  const { root } = command.copyOf(template);
  const argv = ['-m', 'sh', '-c', ELSEWHERE, 'sh', root, process.execPath, command.program(), `${name}:${pass}`];
  const { status, stderr } = spawnSync('unshare', argv, { encoding: 'utf8', env: { PATH: process.env['PATH'] } });
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.any(String) });
  return fixture(`${root}.killed`);
}

const fromStock: readonly Walk[] = [
  { version: '8.3b', separateEntry: true, verb: 'enable' },
  { version: '6.5', verb: 'enable' },
];
const failing: readonly Walk[] = [
  { version: '8.3b', before: async (host) => inTheWay(host), verb: 'enable', exitCode: 1 },
];
const toStock: readonly Walk[] = [
  { version: '8.3b', separateEntry: true, before: enabled, verb: 'disable' },
  { version: '6.5', before: enabled, verb: 'disable' },
];

/** By the protocol's title. */
const walks: Readonly<Record<string, readonly Walk[]>> = {
  '`rbdsr enable`': fromStock,
  '`rbdsr repair`, where something is amiss': [{ version: '8.3b', before: drifted, verb: 'repair' }],
  'a path is put as its change wants it': fromStock,
  'a file is replaced from another file system': [{ version: '8.3b', verb: 'enable', kill: killedElsewhere }],
  'a path that its change does not want any more': [
    { version: '8.3b', before: enableAs010, verb: 'enable' },
    { version: '8.3b', separateEntry: true, before: enableAs010, verb: 'enable' },
  ],
  'the record of 0.1.0 is brought over': [
    { version: '8.3b', before: enableAs010, verb: 'repair', isTold: true },
    { version: '6.5', before: enableAs010, verb: 'enable', isTold: true },
  ],
  '`rbdsr enable` that fails': failing,
  'a path is taken back': failing,
  '`rbdsr disable`': toStock,
  'a path is put back': toStock,
};

const menders: Readonly<Partial<Record<Mender, (host: HostFixture) => Promise<unknown>>>> = {
  enable: async (host) => {
    // Where the command failed: what the message says is in the way.
    if (isObstructed(host)) host.remove(OBSTACLE);
    await enable(host.open());
  },
  repair: (host) => repair(host.open()),
  disable: (host) => disable(host.open(), false),
};

/** A program of the host that writes down how it was called. */
function recordCalls(host: HostFixture): void {
  host.write(CALLS, '');
  const systemctl = '/usr/bin/systemctl';
  host.write(systemctl, recordedSystemd(systemctl, { states: ['running'], log: CALLS, named: true }), 0o755);
  for (const program of ['/bin/touch', '/bin/rm']) {
    host.write(program, `#!/bin/sh\necho "\${0##*/} $*" >>"\${0%${program}}${CALLS}"\n`, 0o755);
  }
}

/** The host as the command finds it, and what it is compared with. */
async function prepare({ version, separateEntry, before }: Walk): Promise<{ template: HostFixture; scene: Scene }> {
  const template = hosts.make(version, { separateEntry: separateEntry === true });
  recordCalls(template);
  const whole = command.copyOf(template);
  const stock = pathsOf(template);
  await enable(whole.open());
  const goal = { enabled: pathsOf(whole), entries: whole.open().journal.entries };
  const told = { enabled: toldOf(whole), disabled: [] as readonly string[] };
  whole.write(CALLS, '');
  await disable(whole.open(), false);
  told.disabled = toldOf(whole);
  for (const words of Object.values(told)) {
    expect(words).not.toEqual([]);
    expect(words.join('\n')).not.toContain(UNRECORDED);
  }
  await before?.(template);
  template.write(CALLS, '');
  const obstacle = [...pathsOf(template)].filter(([path]) => isObstructed(template) && path.startsWith(OBSTACLE));
  return {
    template,
    scene: {
      ...goal,
      told,
      stock: new Map([...stock, ...obstacle]),
      began: pathsOf(template),
      beganEntries: template.open().journal.entries,
    },
  };
}

async function mustBeMended(host: HostFixture, mender: Mender, { stock, told }: Scene, isTold = false): Promise<void> {
  const mended = command.copyOf(host);
  await menders[mender]?.(mended);
  const isDisabled = mender === 'disable';
  if (isDisabled) expect(pathsOf(mended)).toEqual(stock);
  else expect((await checkHost(mended.open())).filter((finding) => !isWell(finding))).toEqual([]);
  const words = told[isDisabled ? 'disabled' : 'enabled'];
  if (isDisabled || !isTold) expect(toldOf(mended).slice(-words.length)).toEqual(words);
  if (!isDisabled) {
    expect(await disable(mended.open(), false)).toMatchObject({ left: [] });
    expect(pathsOf(mended)).toEqual(new Map([...stock].filter(([path]) => !path.startsWith(OBSTACLE))));
  }
  expect(mended.open().has('/var/lib/rbdsr')).toBe(false);
  rmSync(mended.root, { recursive: true });
}

const TEST = 'test/unit/host/every-step.test.ts';

const kills = stepsOf(TEST).flatMap(({ title, name, leaves, mendedBy }) =>
  name === undefined
    ? []
    : (walks[title] ?? []).map((walk, index) => [title, name, index, leaves.id, mendedBy.by, walk] as const),
);

test.each(kills)('%s, killed at %s (%i)', { timeout: 300_000 }, async (_title, name, _index, left, by, walk) => {
  const { template, scene } = await prepare(walk);
  /** What comes by often is mended by each in turn. */
  const look = async (host: HostFixture, pass: number): Promise<void> => {
    leftBehind[left]?.(host, scene);
    const one = by[pass % by.length];
    for (const mender of pass === 1 || one === undefined ? by : [one])
      await mustBeMended(host, mender, scene, walk.isTold);
  };
  const { kill, verb, exitCode } = walk;
  if (kill !== undefined) {
    for (const pass of [1, 6]) await look(kill(template, name, pass), pass);
    return;
  }
  const passes = await command.atEveryStep(
    template,
    verb,
    name,
    1,
    async (host, pass, ended) => {
      if (!ended) await look(host, pass);
    },
    1,
    exitCode,
  );
  expect(passes).toBeGreaterThan(0);
});

test('every protocol has a walk, every step that is mended a command for it, every state a look, and none more', () => {
  expectAllWalked(TEST, { walks, menders, looks: leftBehind });
});
