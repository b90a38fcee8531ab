import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { StockLoader } from '../../../lab/host-trees/host-trees.ts';
import { DivertedHost } from './diverted-host.ts';
import { pythons, treesFor } from './pythons.ts';
import { ISCSI, sr } from './requests.ts';

const LOADERS: readonly StockLoader[] = ['imp', 'spec', 'source-file'];

/** Loads the entry as stock code does, from a program beside the stock modules, and tells what came of it. */
const PROBE = `
import json, sys
folder, entry, loader, name = sys.argv[1:]
sys.path.insert(0, folder)
import SR
path = list(sys.path)
module = SR.load_file(entry, loader, name)
found = SR.driver('lvmoiscsi')
print(json.dumps({
    'name': module.__name__,
    'file': module.__file__,
    'doc': module.__doc__,
    'registered': [found.__module__, found.__name__],
    'is_class': found is getattr(module, found.__name__),
    'other': SR.driver('lvhdoiscsi') is found,
    'count': len(SR.CLASSES),
    'info': module.DRIVER_INFO['name'],
    'vdi': found().vdi('u'),
    'load': found().load('sr'),
    'path': path == sys.path,
    'in_modules': sys.modules[name] is module,
    'globals': sorted(key for key in vars(module) if not key.startswith('__')),
}))
`;

function load(
  host: DivertedHost,
  python: string,
  loader: StockLoader,
  name: string,
  entry: string,
): Record<string, unknown> {
  const folder = host.tree.sitePackages ?? host.tree.smDir;
  const { code, stdout, stderr } = host.start(python, ['-c', PROBE, folder, entry, loader, name]);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe.each(pythons())('Python $version', (python) => {
  const { program, major, hasImp } = python;
  const loaders = LOADERS.filter((loader) => (loader === 'imp' ? hasImp : major === 3));

  test.each(treesFor(python).flatMap((version) => loaders.map((loader) => [version, loader] as const)))(
    'on %s, %s gives the stock driver under the importing name',
    (version, loader) => {
      using host = new DivertedHost(version, { python: program });
      // A file without .py can be loaded by the loader of its version alone.
      const plainLoader = version === '4.x' && loader === 'spec' ? host.tree.loader : loader;
      const stock = load(host, program, plainLoader, 'LVMoISCSISR', host.tree.stockFile);
      expect(load(host, program, loader, 'LVMoISCSISR', host.tree.entry)).toEqual(stock);
      expect(stock).toMatchObject({
        name: 'LVMoISCSISR',
        file: host.tree.stockFile,
        registered: ['LVMoISCSISR', version === '8.3b' ? 'LVMoISCSISR' : 'LVHDoISCSISR'],
        is_class: true,
        count: 1,
        info: 'LVHD over iSCSI',
        doc: 'Stand-in for the stock driver',
        in_modules: true,
      });
    },
  );

  test.each(loaders)('by %s under another name', (loader) => {
    using host = new DivertedHost('8.3b', { python: program });
    const found = load(host, program, loader, 'some_name', host.tree.entry);
    expect(found).toMatchObject({ name: 'some_name', registered: ['some_name', 'LVMoISCSISR'], is_class: true });
  });

  test('the stock driver, diverted, loads its own entry as stock code does', () => {
    // imp has left newer interpreters, and no host with one uses it.
    const version = major === 2 ? '8.2' : '8.3b';
    using host = new DivertedHost(version, { python: program });
    const { stdout, stderr } = host.run([sr('vdi_activate', ISCSI)], { STOCK_LOAD: host.tree.entry });
    expect(stderr).toBe('stock was here\n');
    expect(JSON.parse(stdout)).toMatchObject({ name: '__main__', loaded: ['LVMoISCSISR', 'LVMoISCSISR'] });
  });

  test('without the stock driver the import fails, and says so', () => {
    using host = new DivertedHost('8.3b', { python: program });
    const loader = loaders[0] ?? 'imp';
    host.remove('stock/LVMoISCSISR');
    expect(() => load(host, program, loader, 'LVMoISCSISR', host.tree.entry)).toThrow(
      `ImportError: The stock iSCSI driver is not at ${join(host.home, 'stock/LVMoISCSISR')}`,
    );
  });
});
