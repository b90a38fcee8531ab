import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { checkHost } from '../../../src/installer/check-host.ts';
import { disable } from '../../../src/installer/disable.ts';
import { enable, repair } from '../../../src/installer/enable.ts';
import { isWell } from '../../../src/installer/changing/finding.ts';
import { stockProblem } from '../../../src/installer/changes/stock-proof.ts';
import { enableAs010 } from './enabled-by-0-1-0.ts';
import { type HostFixture, placeProduct, useHosts } from './host-fixture.ts';
import { useKilledCommand } from './killed-command.ts';

// After a kill at any step of a change that concerns the divert, an iSCSI call must reach the stock driver at once,
// before anything is mended: and the entry must lead somewhere, or xapi (from 25.20) takes the driver from the whole
// pool.

const hosts = useHosts();
const command = useKilledCommand();
const ENTRY = '/opt/xensource/sm/LVMoISCSISR';
/** Those of a path come by often. */
const PATH_POINTS = ['host.saved', 'host.recorded', 'host.written', 'host.kept', 'host.undone', 'host.dropped'];
const POINTS = {
  enable: ['host.enabling', 'host.applied', 'host.told', ...PATH_POINTS],
  disable: ['host.disabling', 'host.undone', 'host.dropped', 'host.reverted', 'host.cleared', 'host.told-back'],
} as const;
const KINDS = [
  ['8.3b', false],
  ['4.x', true],
] as const;

async function everyStep(
  template: HostFixture,
  verb: keyof typeof POINTS,
  from: number,
  recover: (host: HostFixture) => Promise<void>,
): Promise<void> {
  for (const point of POINTS[verb]) {
    await command.atEveryStep(template, verb, point, PATH_POINTS.includes(point) ? from : 1, async (host, pass) => {
      expect(existsSync(host.at(ENTRY)), `${point}:${pass}`).toBe(true);
      expect(await stockProblem(host.open()), `${point}:${pass}`).toBeUndefined();
      await recover(host);
    });
  }
}

async function mustBeWell(host: HostFixture): Promise<void> {
  expect((await checkHost(host.open())).filter((finding) => !isWell(finding))).toEqual([]);
}

test.each(KINDS)(
  '%s, entry a program of its own: %s: brought over from 0.1.0',
  { timeout: 600_000 },
  async (version, separateEntry) => {
    const template = hosts.make(version, { separateEntry });
    const before = template.snapshot();
    await enableAs010(template);
    // As on a host, whose paths begin at its root: the old entry is absolute, so it is looked at only once it is
    // replaced.
    for (const point of POINTS.enable) {
      await command.atEveryStep(template, 'enable', point, 1, async (host, pass) => {
        if (host.snapshot().get(ENTRY) !== 'link /opt/rbdsr/divert.py') {
          expect(await stockProblem(host.open()), `${point}:${pass}`).toBeUndefined();
        }
        await repair(host.open());
        await mustBeWell(host);
        expect(await disable(host.open(), false)).toMatchObject({ left: [] });
        expect(host.snapshot()).toEqual(before);
      });
    }
  },
);

test.each(KINDS)(
  '%s, entry a program of its own: %s: enabled, and disabled',
  { timeout: 600_000 },
  async (version, separateEntry) => {
    const template = hosts.make(version, { separateEntry });
    const before = template.snapshot();
    await everyStep(template, 'enable', 14, async (host) => {
      expect(await disable(host.open(), false)).toMatchObject({ left: [] });
      expect(host.snapshot()).toEqual(before);
    });
    await enable(template.open());
    await everyStep(template, 'disable', 1, async (host) => {
      await disable(host.open(), false);
      expect(host.snapshot()).toEqual(before);
    });
  },
);

test('disabled after it was brought over from 0.1.0: the entry goes before what it leads to', {
  timeout: 600_000,
}, async () => {
  const template = hosts.make('8.3b');
  const before = template.snapshot();
  await enableAs010(template);
  await enable(template.open());
  await everyStep(template, 'disable', 1, async (host) => {
    await disable(host.open(), false);
    expect(host.snapshot()).toEqual(before);
  });
});

test('disabled without a record', { timeout: 600_000 }, async () => {
  const template = hosts.make('8.3b');
  const before = template.snapshot();
  await enable(template.open());
  for (const folder of ['/opt/rbdsr', '/var/lib/rbdsr']) template.remove(folder);
  placeProduct(template.root);
  await everyStep(template, 'disable', 1, async (host) => {
    await disable(host.open(), false);
    expect(host.snapshot()).toEqual(before);
  });
});
