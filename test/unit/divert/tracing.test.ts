import { describe, expect, test } from 'vitest';
import { encodeFault } from '../../../src/xmlrpc/encode.ts';
import { DivertedHost, type End, seenBy } from './diverted-host.ts';
import { pythons, treesFor } from './pythons.ts';
import { DRIVER_INFO, ISCSI, RBD, sr } from './requests.ts';

/**
 * What xapi's tracing launcher does with a driver (xen-api `python3/packages/observer.py`): run_path under the name
 * __main__.
 */
const OBSERVER = `
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
`;

function observed(host: DivertedHost, python: string, entry: string, smDir: string, args: readonly string[]): End {
  const path = [smDir, ...(host.tree.sitePackages === undefined ? [] : [host.tree.sitePackages])].join(':');
  return host.start(python, ['-c', OBSERVER, entry, ...args], { PYTHONPATH: path, STOCK_EXIT: '5' });
}

describe.each(pythons())('Python $version', (python) => {
  const { program, version: pythonVersion } = python;
  test.each(treesFor(python))('on %s, the tracing launcher runs the stock driver as it did', (version) => {
    using host = new DivertedHost(version, { python: program });
    for (const args of [[sr('sr_attach', ISCSI)], [DRIVER_INFO], []]) {
      const before = observed(host, program, host.plain.entry, host.plain.smDir, args);
      const now = observed(host, program, host.tree.entry, host.tree.smDir, args);
      expect({ code: now.code, stderr: now.stderr }).toEqual({ code: 5, stderr: 'stock was here\n' });
      const { pid: _now, globals: names, ...rest } = seenBy(now.stdout.replaceAll('/host/', '/plain/'));
      const { pid: _before, globals: expected, ...stock } = seenBy(before.stdout.replaceAll('/host/', '/plain/'));
      expect(names).toEqual(expected);
      expect(rest).toEqual(stock);
    }
  });

  test('the tracing launcher runs RBDSR for port 6789', () => {
    using host = new DivertedHost('8.3b', { python: program });
    const request = sr('sr_attach', { ...RBD, chapuser: 'größe' });
    const end = observed(host, program, host.tree.entry, host.tree.smDir, [request]);
    // Python 3.6 in the C locale must bring the bytes through as well.
    expect(end, pythonVersion).toEqual({ code: 3, stdout: `launched LVMoISCSI\n1\n${request}\n`, stderr: '' });
  });

  test('Python runs the file by hand, with the stock modules found', () => {
    using host = new DivertedHost('8.3b', { python: program });
    const end = host.start(program, [host.tree.entry, sr('sr_scan', ISCSI)]);
    expect(JSON.parse(end.stdout)).toMatchObject({ path0: host.tree.smDir, name: '__main__' });
  });

  test('a broken installation is told in a fault', () => {
    using host = new DivertedHost('8.3b', { python: program });
    host.remove('launcher.sh');
    const text = `${host.launcher} is missing, so RBDSR is not completely installed on this host. Run its installer again.`;
    const fault = encodeFault({ faultCode: 202, faultString: `The storage backend failed [opterr=${text}]` });
    const args = [sr('sr_attach', RBD)];
    expect(observed(host, program, host.tree.entry, host.tree.smDir, args)).toEqual({
      code: 0,
      stdout: fault,
      stderr: '',
    });
    host.loseStock();
    const end = observed(host, program, host.tree.entry, host.tree.smDir, [sr('sr_attach', ISCSI)]);
    expect(end.code).toBe(0);
    expect(end.stdout).toContain(`The stock iSCSI driver is not at ${host.stock}`);
  });
});
