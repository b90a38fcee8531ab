import { expect, test } from 'vitest';
import { disable } from '../../../src/installer/disable.ts';
import { enable } from '../../../src/installer/enable.ts';
import { withBlock, withoutBlock } from '../../../src/installer/changing/marked-block.ts';
import { keepsAwayFromRbd } from '../../../src/installer/changes/multipath-rules.ts';
import { useHosts } from './host-fixture.ts';

const hosts = useHosts();

test.each([
  ['blacklist {\n  devnode "^rbd[0-9]*"\n}', true],
  ['blacklist {\n  wwid "*"\n}\nblacklist_exceptions {\n  wwid "3600*"\n}', true],
  ['blacklist { \n devnode ^(ram|rbd|loop)[0-9]*\n}', true],
  ['devices { device { product "x" } }\nblacklist { device { vendor "a" }\n devnode "rbd" }', true],
  ['blacklist {\n # devnode "^rbd"\n devnode "^sd"\n}', false],
  ['blacklist_exceptions {\n devnode "^rbd"\n}', false],
  ['blacklist {\n devnode "*bad("\n}', false],
  ['', false],
])('%j keeps multipathd away: %j', (text, away) => {
  expect(keepsAwayFromRbd(text)).toBe(away);
});

test('the line goes into the blacklist that is there; without one, it gets one', async () => {
  const host = hosts.make('7.x');
  await enable(host.open());
  const text = host.read('/etc/multipath.xenserver/multipath.conf');
  expect(text).toMatch(/blacklist \{\n\t# >>> rbdsr.*\n\tdevnode "\^rbd\[0-9\]\*"\n\t# <<< rbdsr\n {4}devnode/);
  expect(keepsAwayFromRbd(text)).toBe(true);
  await disable(host.open(), false);
  host.write('/etc/multipath.xenserver/multipath.conf', 'defaults {\n}');
  const before = host.snapshot();
  await enable(host.open());
  expect(keepsAwayFromRbd(host.read('/etc/multipath.xenserver/multipath.conf'))).toBe(true);
  await disable(host.open(), false);
  expect(host.snapshot()).toEqual(before);
});

test('a folder for such files gets a file of ours', async () => {
  const host = hosts.make('8.2');
  host.write('/etc/multipath/conf.d/custom.conf', '# own\n');
  await enable(host.open());
  expect(keepsAwayFromRbd(host.read('/etc/multipath/conf.d/rbdsr.conf'))).toBe(true);
  expect(host.read('/etc/multipath.xenserver/multipath.conf')).not.toContain('rbdsr');
});

test('a block: put in once, changed in place, taken out whole', () => {
  const text = 'a\nb {\nc\n}\n';
  const first = withBlock(text, ['x'], /^b \{/m, '  ');
  expect(first).toMatch(/^a\nb \{\n {2}# >>> rbdsr[^\n]*\n {2}x\n {2}# <<< rbdsr\nc\n\}\n$/);
  expect(withBlock(first, ['x'], /^b \{/m, '  ')).toBe(first);
  expect(withBlock(first, ['y'], /^b \{/m, '  ')).toBe(first.replace('  x\n', '  y\n'));
  expect(withoutBlock(first)).toBe(text);
  expect(withoutBlock(first.replace('<<<', ''))).toBeUndefined();
  expect(withoutBlock(text)).toBeUndefined();
});
