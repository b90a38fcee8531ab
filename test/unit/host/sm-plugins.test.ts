import { expect, test } from 'vitest';
import { checkHost } from '../../../src/installer/check-host.ts';
import { disable } from '../../../src/installer/disable.ts';
import { enable, repair } from '../../../src/installer/enable.ts';
import { isWell } from '../../../src/installer/changing/finding.ts';
import { accepts, parseSmPlugins, SM_PLUGINS_FILE, smPluginsWithoutOurs } from '../../../src/installer/sm-plugins.ts';
import { type HostFixture, useHosts } from './host-fixture.ts';

const hosts = useHosts();

const listOf = (host: HostFixture): readonly string[] | undefined => parseSmPlugins(host.read(SM_PLUGINS_FILE));

test('the list of xapi.conf and rbd; of the last file that defines it, whatever its suffix', async () => {
  const host = hosts.make('8.3b');
  await enable(host.open());
  expect(listOf(host)).toEqual([...(parseSmPlugins(host.read('/etc/xapi.conf')) ?? []), 'rbd']);
  expect(listOf(host)).toContain('largeblock');
  // Linstor comes with a file of its own, which ours would hide.
  host.write('/etc/xapi.conf.d/linstor.conf', '# more\nsm-plugins = ext linstor\n');
  expect((await checkHost(host.open())).filter((finding) => !isWell(finding))).toMatchObject([
    { part: 'sm-plugins', path: SM_PLUGINS_FILE, state: 'changed' },
  ]);
  const { restart } = await repair(host.open());
  expect(listOf(host)).toEqual(['ext', 'linstor', 'rbd']);
  expect(restart).toEqual([expect.stringContaining('sm-plugins')]);
  host.write('/etc/xapi.conf.d/linstor.conf.rpmsave', "sm-plugins='nfs'");
  await repair(host.open());
  expect(listOf(host)).toEqual(['nfs', 'rbd']);
});

test('where rbd, or everything, is accepted already, our file goes', async () => {
  for (const list of ['*', 'ext RBD nfs']) {
    const host = hosts.make('8.2');
    const before = host.snapshot();
    for (const mend of [enable, repair]) {
      await enable(host.open());
      host.write('/etc/xapi.conf.d/own.conf', `sm-plugins=${list}\n`);
      // Until then it hides the other list.
      expect((await checkHost(host.open())).filter((finding) => !isWell(finding))).toMatchObject([
        { part: 'sm-plugins', path: SM_PLUGINS_FILE, state: 'changed', todo: 'rbdsr repair' },
      ]);
      expect(await mend(host.open())).toMatchObject({ written: [SM_PLUGINS_FILE], replaced: [] });
      expect(host.snapshot().has(SM_PLUGINS_FILE)).toBe(false);
      expect((await checkHost(host.open())).every(isWell)).toBe(true);
      await disable(host.open(), false);
      host.remove('/etc/xapi.conf.d/own.conf');
      expect(host.snapshot()).toEqual(before);
    }
  }
});

test('a file that xapi reads after ours is named', async () => {
  const host = hosts.make('8.2');
  host.write('/etc/xapi.conf.d/zzzzz.conf', 'sm-plugins=ext\n');
  const { attention } = await enable(host.open());
  expect(attention).toMatchObject([{ path: '/etc/xapi.conf.d/zzzzz.conf', todo: expect.stringContaining('add rbd') }]);
});

test("no file defines it: xapi's own list; 6.5 has none", () => {
  const host = hosts.make('7.x');
  host.write('/etc/xapi.conf', '#sm-plugins=ext\n');
  const plugins = smPluginsWithoutOurs(host.open());
  expect(plugins?.types).toHaveLength(15);
  expect(plugins?.file).toBeUndefined();
  expect(accepts({ types: ['Ext', 'nfs'] }, 'ext')).toBe(true);
  expect(accepts({ types: ['Ext', 'nfs'] }, 'rbd')).toBe(false);
  expect(smPluginsWithoutOurs(hosts.make('6.5').open())).toBeUndefined();
});
