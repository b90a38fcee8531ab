import { expect, test } from 'vitest';
import { checkHost } from '../../../src/installer/check-host.ts';
import { disable } from '../../../src/installer/disable.ts';
import { enable, repair } from '../../../src/installer/enable.ts';
import { isWell } from '../../../src/installer/changing/finding.ts';
import type { HostVersion } from '../../../lab/host-trees/host-versions.ts';
import { type HostFixture, isState, useHosts } from './host-fixture.ts';
import { useKilledCommand } from './killed-command.ts';

// The built command is killed (SIGKILL) at every step in turn, on every host version; afterwards it is enabled again,
// or disabled, in this process. What each step leaves: every-step.test.ts.

const hosts = useHosts();
const command = useKilledCommand();

async function mustBeWell(host: HostFixture): Promise<void> {
  expect((await checkHost(host.open())).filter((finding) => !isWell(finding))).toEqual([]);
}

const EVERY: readonly { version: HostVersion; separateEntry: boolean; every: number }[] = [
  { version: '6.5', separateEntry: false, every: 1 },
  { version: '8.3b', separateEntry: true, every: 1 },
  { version: '7.x', separateEntry: false, every: 6 },
  { version: '8.2', separateEntry: false, every: 6 },
  { version: '8.3a', separateEntry: false, every: 6 },
  { version: '4.x', separateEntry: false, every: 6 },
];

const RUN = ['host.enabling', 'host.applied', 'host.told'];
const PATH = ['host.recorded', 'host.written'];

test.each(EVERY)('$version: enable is killed', { timeout: 600_000 }, async ({ version, separateEntry, every }) => {
  const template = hosts.make(version, { separateEntry });
  const before = template.snapshot();
  for (const point of [...RUN, ...PATH]) {
    const steps = await command.atEveryStep(
      template,
      'enable',
      point,
      1,
      async (host, pass) => {
        // Half of them are enabled again first.
        if (pass % 2 === 0 || every > 1) {
          await enable(host.open());
          await mustBeWell(host);
        }
        expect(await disable(host.open(), false)).toMatchObject({ left: [] });
        expect(host.snapshot()).toEqual(before);
      },
      every,
    );
    expect(steps).toBeGreaterThan(RUN.includes(point) ? 0 : 8);
  }
});

test.each(EVERY)(
  '$version: enable of an enabled host is killed',
  { timeout: 600_000 },
  async ({ version, separateEntry, every }) => {
    const template = hosts.make(version, { separateEntry });
    const before = template.snapshot();
    await enable(template.open());
    const enabled = [...template.snapshot()].filter(([path]) => !isState(path));
    for (const path of ['/usr/bin/rbdsr', '/opt/xensource/sm/RBDSR', '/opt/xensource/sm/LVMoISCSISR']) {
      template.remove(path);
    }
    for (const point of [...RUN, ...PATH]) {
      await command.atEveryStep(
        template,
        'enable',
        point,
        1,
        async (host, pass) => {
          // What the boot unit does.
          expect(await repair(host.open())).toMatchObject({ failed: [] });
          const after = host.snapshot();
          for (const [path, state] of enabled) expect(`${path} ${after.get(path)}`).toBe(`${path} ${state}`);
          expect(host.open().journal.content?.state).toBe('enabled');
          if (pass % 2 === 0) await mustBeWell(host);
          expect(await disable(host.open(), false)).toMatchObject({ left: [] });
          expect(host.snapshot()).toEqual(before);
        },
        Math.ceil(every / 2),
      );
    }
  },
);

test.each(EVERY)('$version: disable is killed', { timeout: 600_000 }, async ({ version, separateEntry, every }) => {
  const template = hosts.make(version, { separateEntry });
  const before = template.snapshot();
  await enable(template.open());
  const enabled = new Map([...template.snapshot()].filter(([path]) => !isState(path)));
  for (const point of [
    'host.disabling',
    'host.undone',
    'host.dropped',
    'host.reverted',
    'host.cleared',
    'host.told-back',
  ]) {
    await command.atEveryStep(
      template,
      'disable',
      point,
      1,
      async (host, pass) => {
        if (pass % 2 === 0 || every > 1) {
          await enable(host.open());
          await mustBeWell(host);
          const after = host.snapshot();
          for (const [path, state] of enabled) expect(`${path} ${after.get(path)}`).toBe(`${path} ${state}`);
        }
        await disable(host.open(), false);
        expect(host.snapshot()).toEqual(before);
      },
      every,
    );
  }
});
