import { expect, test } from 'vitest';
import type { HostVersion } from '../../../lab/host-trees/host-versions.ts';
import { enable } from '../../../src/installer/enable.ts';
import { useHosts } from './host-fixture.ts';

const hosts = useHosts();

/**
 * What udev makes of rules in this order: the last assignment of a name counts, unless an earlier one is final
 * (udev(7), OPERATORS; systemd v219 `udev-rules.c`, TK_A_INOTIFY_WATCH).
 */
function assigned(...rules: readonly string[]): Record<string, string> {
  const values: Record<string, string> = {};
  const final = new Set<string>();
  for (const [, name = '', operator, value = ''] of rules.join('\n').matchAll(/([\w{}]+)(\+=|:=|=)"([^"]*)"/g)) {
    if (final.has(name)) continue;
    if (operator === ':=') final.add(name);
    values[name] = value;
  }
  return values;
}

/** Of 60-persistent-storage.rules of systemd 219, for every block device that no earlier line has skipped. */
const LATER = 'OPTIONS+="watch"';

test.each<HostVersion>(['7.x', '8.2', '8.3b'])('no later rule of %s has udev watch images again', async (version) => {
  const host = hosts.make(version);
  await enable(host.open());
  const rule = host.read('/etc/udev/rules.d/59-rbdsr.rules').split('\n').slice(1).join('\n');
  expect(rule).toMatch(/^SUBSYSTEM=="block", KERNEL=="rbd\[0-9\]\*", /);
  expect(assigned(rule, LATER)).toEqual({
    OPTIONS: 'nowatch',
    'ENV{UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG}': '1',
    'ENV{DM_UDEV_DISABLE_OTHER_RULES_FLAG}': '1',
    'ENV{nompath}': '1',
    'ENV{DM_MULTIPATH_DEVICE_PATH}': '0',
  });
  expect(assigned(rule.replace(':=', '+='), LATER)['OPTIONS']).toBe('watch');
});
