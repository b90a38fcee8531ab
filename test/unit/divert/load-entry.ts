import type { StockLoader } from '../../../lab/host-trees/host-versions.ts';
import type { DivertedHost } from './diverted-host.ts';
import type { Python } from './pythons.ts';

/** Those of sm's versions that this interpreter has. */
export function loadersOf({ hasImp, major }: Python): readonly StockLoader[] {
  const all: readonly StockLoader[] = ['imp', 'spec', 'source-file'];
  return all.filter((loader) => (loader === 'imp' ? hasImp : major === 3));
}

/** Loads the entry as stock code does, from a program beside the stock modules, and tells what came of it. */
export function loadEntry(
  host: DivertedHost,
  python: string,
  loader: StockLoader,
  name: string,
  entry: string = host.tree.entry,
  env: Readonly<Record<string, string>> = {},
): Record<string, unknown> {
  const folder = host.tree.sitePackages ?? host.tree.smDir;
  const { code, stdout, stderr } = host.start(python, ['-c', PROBE, folder, entry, loader, name], env);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, unknown>;
}

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
