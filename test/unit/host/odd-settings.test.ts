import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { checkHost } from '../../../src/installer/check-host.ts';
import { disable } from '../../../src/installer/disable.ts';
import { enable, repair } from '../../../src/installer/enable.ts';
import { isWell } from '../../../src/installer/changing/finding.ts';
import { runCommand } from '../../../src/sm/run-command.ts';
import { decodeResponse } from '../../../src/xmlrpc/decode.ts';
import { encodeCall } from '../../../src/xmlrpc/encode.ts';
import { useHosts } from './host-fixture.ts';

const hosts = useHosts();

test.each([
  ['an unknown key', 'deadlnie = 60', /rbdsr\.conf line 2 is not understood.*deadlnie/],
  ['a value that is none', 'deadline = soon', /rbdsr\.conf line 2 is not understood.*seconds/],
  ['no key at all', 'what is this', /rbdsr\.conf line 2 is not understood/],
  ['a profile that nobody knows', 'profile = 9.9', /the profile in .*rbdsr\.conf is not known/],
])('%s in rbdsr.conf stops neither enable, check, repair nor disable; check names it', async (_what, line, said) => {
  const host = hosts.make('8.3b');
  const conf = host.at('/etc/rbdsr/rbdsr.conf');
  mkdirSync(dirname(conf), { recursive: true });
  writeFileSync(conf, `# ours\n${line}\n`);
  const before = host.snapshot();
  await enable(host.open());
  const odd = (await checkHost(host.open())).filter((finding) => !isWell(finding));
  expect(odd.map(({ part, state, what }) => ({ part, state, what }))).toEqual([
    { part: 'settings', state: 'attention', what: expect.stringMatching(said) },
  ]);
  host.remove('/usr/bin/rbdsr');
  expect(await repair(host.open())).toMatchObject({ written: ['/usr/bin/rbdsr'], failed: [] });

  const sent = (command: string): Promise<{ stdout: string }> =>
    runCommand([encodeCall(command, [{ command, device_config: {} }])], {
      root: host.at(''),
      callDirectory: undefined,
    });
  expect(decodeResponse((await sent('sr_get_driver_info')).stdout)).not.toHaveProperty('fault');
  expect(decodeResponse((await sent('sr_probe')).stdout)).toMatchObject({
    fault: { faultString: expect.stringMatching(said) },
  });

  expect(await disable(host.open(), false)).toMatchObject({ left: [] });
  host.remove('/var/log/SMlog');
  expect(host.snapshot()).toEqual(before);
});
