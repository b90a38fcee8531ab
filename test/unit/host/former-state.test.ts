import { existsSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Journal } from '../../../src/installer/changing/journal.ts';
import { isWell } from '../../../src/installer/changing/finding.ts';
import { checkHost } from '../../../src/installer/check-host.ts';
import { disable } from '../../../src/installer/disable.ts';
import { enable, repair } from '../../../src/installer/enable.ts';
import { enableAs010, formerState } from './enabled-by-0-1-0.ts';
import { type HostFixture, placeProduct, useHosts } from './host-fixture.ts';
import { useKilledCommand } from './killed-command.ts';

// What enable remembers is in /var/lib/rbdsr; 0.1.0 had it below /opt/rbdsr, where it finds a note now.

const hosts = useHosts();
const command = useKilledCommand();
const NOW = '/var/lib/rbdsr';
const FORMER = '/opt/rbdsr/state';

/** A file that somebody has changed, so that there is a copy to bring over. */
async function withCopy(host: HostFixture): Promise<void> {
  host.write('/etc/modules-load.d/rbdsr.conf', 'own\n');
  await enable(host.open());
}

async function mustBeWell(host: HostFixture): Promise<void> {
  expect((await checkHost(host.open())).filter((finding) => !isWell(finding))).toEqual([]);
}

function mustBeOver(host: HostFixture): void {
  expect(readdirSync(host.at(FORMER))).toEqual(['changes.json']);
  expect(() => new Journal(host.at(FORMER), host.at('/nowhere'))).toThrow(/install the version that wrote it/);
  expect(readdirSync(host.at(`${NOW}/saved`))).not.toEqual([]);
}

test('nothing of what enable remembers is below /opt but a note to 0.1.0, which goes with disable', async () => {
  const host = hosts.make('8.3b');
  host.write('/etc/modules-load.d/rbdsr.conf', 'own\n');
  const before = host.snapshot();
  await enable(host.open());
  mustBeOver(host);
  await disable(host.open(), false);
  expect(host.snapshot()).toEqual(before);
});

test.each([
  ['enable', enable],
  ['repair', repair],
  ['disable', async () => {}],
])('the record of a version that had it below /opt is brought over by %s', async (_verb, mend) => {
  const host = hosts.make('8.3b');
  host.write('/etc/modules-load.d/rbdsr.conf', 'own\n');
  const before = host.snapshot();
  await withCopy(host);
  const { content } = host.open().journal;
  formerState(host);
  // Whoever only looks sees it where it is.
  expect(host.open().journal.content).toEqual(content);
  await mustBeWell(host);
  await mend(host.open());
  if (existsSync(host.at(NOW))) {
    mustBeOver(host);
    expect(host.open().journal.content).toEqual(content);
    await mustBeWell(host);
  }
  expect(await disable(host.open(), false)).toMatchObject({ wasEnabled: true, left: [] });
  expect(host.snapshot()).toEqual(before);
});

test('killed while it is brought over, it is whole afterwards', { timeout: 120_000 }, async () => {
  const template = hosts.make('8.3b');
  template.write('/etc/modules-load.d/rbdsr.conf', 'own\n');
  const before = template.snapshot();
  await enableAs010(template);
  for (const point of ['host.saved-brought-over', 'host.brought-over', 'host.former-gone']) {
    const passed = await command.atEveryStep(template, 'repair', point, 1, async (host, pass) => {
      if (pass === 1) {
        await enable(host.open());
        mustBeOver(host);
        await mustBeWell(host);
      }
      expect(await disable(host.open(), false)).toMatchObject({ wasEnabled: true, left: [] });
      expect(host.snapshot()).toEqual(before);
    });
    expect(passed).toBe(1);
  }
});

test('/opt/rbdsr is lost: the record is not, and nothing has to be guessed once it is installed again', async () => {
  const host = hosts.make('8.3b');
  host.write('/etc/modules-load.d/rbdsr.conf', 'own\n');
  const before = host.snapshot();
  await enable(host.open());
  host.remove('/opt/rbdsr');
  placeProduct(host.root);
  await mustBeWell(host);
  await enable(host.open());
  mustBeOver(host);
  await disable(host.open(), false);
  expect(host.snapshot()).toEqual(before);
});

test('an older version refuses what a newer one has enabled, and says what to do', async () => {
  const host = hosts.make('8.3b');
  await enable(host.open('1.10.0'));
  host.remove('/usr/bin/rbdsr');
  const before = host.snapshot();
  const refuses =
    /RBDSR 1\.10\.0 was enabled on this host, and this is the older 1\.9\.9; .* Install 1\.10\.0 or later/;
  await expect(enable(host.open('1.9.9'))).rejects.toThrow(refuses);
  await expect(repair(host.open('1.9.9'))).rejects.toThrow(refuses);
  await expect(disable(host.open('1.9.9'), false)).rejects.toThrow(refuses);
  expect(host.snapshot()).toEqual(before);
  expect(await checkHost(host.open('1.9.9'))).toContainEqual(
    expect.objectContaining({ part: 'state', state: 'changed', todo: 'install 1.10.0 or later' }),
  );
  await enable(host.open('1.10.1'));
});
