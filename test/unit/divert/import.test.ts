import { describe, expect, test } from 'vitest';
import { DivertedHost } from './diverted-host.ts';
import { loadersOf, loadEntry } from './load-entry.ts';
import { pythons, treesFor } from './pythons.ts';
import { ISCSI, sr } from './requests.ts';

describe.each(pythons())('Python $version', (python) => {
  const { program, major } = python;
  const loaders = loadersOf(python);

  test.each(treesFor(python).flatMap((version) => loaders.map((loader) => [version, loader] as const)))(
    'on %s, %s gives the stock driver under the importing name',
    (version, loader) => {
      using host = new DivertedHost(version, { python: program });
      // A file without .py can be loaded by the loader of its version alone.
      const plainLoader = version === '4.x' && loader === 'spec' ? host.tree.loader : loader;
      const stock = loadEntry(host, program, plainLoader, 'LVMoISCSISR', host.tree.stockFile);
      expect(loadEntry(host, program, loader, 'LVMoISCSISR', host.tree.entry)).toEqual(stock);
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
    const found = loadEntry(host, program, loader, 'some_name', host.tree.entry);
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
    host.loseStock();
    expect(() => loadEntry(host, program, loader, 'LVMoISCSISR', host.tree.entry)).toThrow(
      `ImportError: The stock iSCSI driver is not at ${host.stock}`,
    );
  });
});
