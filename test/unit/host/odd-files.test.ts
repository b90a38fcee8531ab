import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { checkHost } from '../../../src/installer/check-host.ts';
import { disable } from '../../../src/installer/disable.ts';
import { enable, repair } from '../../../src/installer/enable.ts';
import { isWell } from '../../../src/installer/changing/finding.ts';
import { type HostFixture, useHosts } from './host-fixture.ts';

const hosts = useHosts();

async function wrong(host: HostFixture): Promise<readonly string[]> {
  return (await checkHost(host.open()))
    .filter((finding) => !isWell(finding))
    .map(({ part, what }) => `${part}: ${what}`);
}

const ODD: Readonly<Record<string, (path: string) => void>> = {
  'a link that leads nowhere': (path) => symlinkSync('/nowhere', path),
  'a link to itself': (path) => symlinkSync(path, path),
  'a folder': (path) => mkdirSync(path),
  'a link to a folder': (path) => symlinkSync('..', path),
};

test.each(Object.keys(ODD))(
  '%s among the files of multipath and xapi: enable, repair, check and disable pass over it',
  async (what) => {
    const host = hosts.make('8.3b');
    for (const path of ['/etc/multipath/conf.d/a.conf', '/etc/xapi.conf.d/a.conf']) ODD[what]?.(host.at(path));
    const before = host.snapshot();
    await enable(host.open());
    expect(await wrong(host)).toEqual([]);
    host.remove('/usr/bin/rbdsr');
    expect(await repair(host.open())).toMatchObject({ written: ['/usr/bin/rbdsr'], failed: [] });
    expect(await disable(host.open(), false)).toMatchObject({ left: [] });
    expect(host.snapshot()).toEqual(before);
  },
);

test('one part that cannot look at the host is a finding; repair mends the others, and names it', async () => {
  const host = hosts.make('8.3b');
  await enable(host.open());
  rmSync(host.at('/etc/multipath/conf.d'), { recursive: true });
  host.write('/etc/multipath/conf.d', 'a file where a folder should be\n');
  host.remove('/usr/bin/rbdsr');
  expect(await wrong(host)).toEqual([expect.stringContaining('multipath: ENOTDIR'), 'command: is not there']);
  expect(await repair(host.open())).toMatchObject({
    written: ['/usr/bin/rbdsr'],
    failed: [expect.stringContaining('multipath: ENOTDIR')],
  });
});
