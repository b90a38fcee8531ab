import { describe, expect, test } from 'vitest';
import { HOST_VERSIONS } from '../../../lab/host-trees/host-versions.ts';
import { DivertedHost, seenBy } from './diverted-host.ts';
import { DRIVER_INFO, ISCSI, RBD, sr } from './requests.ts';

/** What the stand-in for the stock driver says it saw; its own paths made comparable. */
function seen(host: DivertedHost, stdout: string): Record<string, unknown> {
  const { pid: _, ...rest } = seenBy(stdout);
  return JSON.parse(JSON.stringify(rest).replaceAll(host.plain.root, host.tree.root)) as Record<string, unknown>;
}

const CALLS: readonly (readonly [what: string, args: readonly string[]])[] = [
  ['another port', [sr('sr_attach', ISCSI)]],
  ['the driver info', [DRIVER_INFO]],
  ['no port', [sr('sr_probe', { target: '10.0.0.1' })]],
  ['no argument', []],
  ['a word', ['version']],
  ['two arguments', [sr('sr_attach', RBD), 'x']],
  ['an empty argument', ['']],
  ['half a document', ['<methodCall>6789<']],
];

describe.each(['/bin/dash', '/bin/bash'])('where sh is %s', (shell) => {
  describe.each(HOST_VERSIONS)('on %s', (version) => {
    test.each(version === '8.3b' ? CALLS : CALLS.slice(0, 2))(
      '%s reaches the stock driver unchanged',
      (_what, args) => {
        using host = new DivertedHost(version, { shell });
        const env = { PATH: '/nowhere', STOCK_EXIT: '7', HOME: '/root', ODD: 'a b\n*=c' };
        const direct = host.runPlain(args, env);
        const diverted = host.run(args, env);
        expect({ code: diverted.code, stderr: diverted.stderr }).toEqual({ code: 7, stderr: 'stock was here\n' });
        expect({ code: direct.code, stderr: direct.stderr }).toEqual({ code: 7, stderr: 'stock was here\n' });
        // The path it is started by is the one RBDSR keeps it at, under the same base name; its folder of modules is
        // the same.
        const now = seen(host, diverted.stdout);
        const before = seen(host, direct.stdout);
        expect(now).toEqual({ ...before, argv: [host.stock, ...args], file: host.stock });
        expect(now).toMatchObject({ children: 0, info: 'LVHD over iSCSI', name: '__main__', stdin: 'from stdin' });
      },
    );

    test('port 6789 is for RBDSR', () => {
      using host = new DivertedHost(version, { shell });
      const request = sr('sr_attach', RBD);
      expect(host.run([request])).toEqual({ code: 3, stdout: `launched LVMoISCSI\n1\n${request}\n`, stderr: '' });
    });
  });

  test('what a calling shell leaves in the environment stays', () => {
    using host = new DivertedHost('8.3b', { shell });
    const env = { PWD: '/', SHLVL: '4', HOME: '/root' };
    const args = [sr('sr_attach', ISCSI)];
    expect(seen(host, host.run(args, env).stdout)['environ']).toEqual(
      seen(host, host.runPlain(args, env).stdout)['environ'],
    );
  });

  test('an entry that was an executable of its own runs from where it was moved', () => {
    using host = new DivertedHost('4.x', { shell, separateEntry: true });
    const args = [sr('sr_attach', ISCSI)];
    expect(JSON.parse(host.run(args).stdout)).toMatchObject({ argv: [host.stock, ...args], info: 'LVHD over iSCSI' });
    expect(host.run([sr('sr_attach', RBD)]).stdout).toContain('launched LVMoISCSI');
  });
});
