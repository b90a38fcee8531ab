import type { StockLoader } from './host-versions.ts';

// Stand-ins for the stock storage manager's Python modules, for Python 2.7 and 3: they register, load and get called as
// the stock ones do (sm `SR.py`, `SRCommand.py`), and answer with what they saw. Nothing of the stock code is in them.

/** Module names; `from` is the package they are in, with a dot at its end. */
interface Modules {
  readonly base: string;
  readonly iscsi: string;
}

/** The driver for LVM over iSCSI: a program, and a module that registers its class when it is imported. */
export function stockDriver(
  python: string,
  { base, iscsi, from }: Modules & { from: string },
  className: string,
  sitePackages?: string,
): string {
  return `#!${python}
"""Stand-in for the stock driver"""
import sys
${sitePackages === undefined ? '' : findsModules(sitePackages)}import SR
import SRCommand
from ${from}${base} import ${base}
from ${from}${iscsi} import SESSION

CAPABILITIES = ['SR_PROBE', 'VDI_CREATE']
DRIVER_INFO = {'name': 'LVHD over iSCSI', 'vendor': 'Citrix Systems Inc', 'capabilities': CAPABILITIES}


class ${className}(${base}):
    def handles(type):
        return type in ('lvmoiscsi', 'lvhdoiscsi')
    handles = staticmethod(handles)

    def load(self, sr_uuid):
        return SESSION


if __name__ == '__main__':
    SRCommand.run(${className}, DRIVER_INFO, sys.modules[__name__])
else:
    SR.registerSR(${className})
`;
}

/**
 * A real host's interpreter has this folder in its path; one of this machine finds it from the real file's, at either
 * depth.
 */
function findsModules(sitePackages: string): string {
  return `import os
for up in ('../../..', '../../../..'):
    sys.path.append(os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), up + '${sitePackages}')))
`;
}

/** The modules the driver needs, by name. */
export function stockLibraries({ base, iscsi }: Modules, loader: StockLoader): Readonly<Record<string, string>> {
  return { SR: registry(loader), SRCommand: COMMAND, [base]: baseClass(base), [iscsi]: "SESSION = 'iscsi session'\n" };
}

function baseClass(name: string): string {
  return `import SR


class ${name}(SR.SR):
    pass
`;
}

/**
 * sm `blktap2.py` and `SR.py`: the driver's file name is resolved and imported as source under the entry's base name,
 * then asked by SR type.
 */
function registry(loader: StockLoader): string {
  return `import os
import sys

STOCK_LOADER = '${loader}'
CLASSES = []


class SR(object):
    def handles(type):
        return False
    handles = staticmethod(handles)

    def vdi(self, uuid):
        return (self.__class__.__name__, uuid)


def registerSR(sr_class):
    CLASSES.append(sr_class)


def driver(sr_type):
    for sr_class in CLASSES:
        if sr_class.handles(sr_type):
            return sr_class
    raise KeyError(sr_type)


def load_file(entry, loader=STOCK_LOADER, name=None):
    real = os.path.realpath(entry)
    name = name or os.path.basename(entry)
    if loader == 'imp':
        import imp
        return imp.load_source(name, real)
    import importlib.util
    import importlib.machinery
    if loader == 'spec':
        spec = importlib.util.spec_from_file_location(name, real)
    else:
        spec = importlib.util.spec_from_loader(name, importlib.machinery.SourceFileLoader(name, real))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
`;
}

/**
 * sm `SRCommand.py`: one argument, else fault 143. Answers with what it saw (`children`: 0 unless this process has had
 * one, even before its exec); sr_get_driver_info with a document, in which that is a member. STOCK_EXIT sets its exit
 * code, STOCK_LOAD a driver file to load.
 */
const COMMAND = `import json
import os
import resource
import sys


def run(sr_class, driver_info, module):
    seen = {
        'argv': sys.argv,
        'environ': dict(os.environ),
        'path0': sys.path[0],
        'file': module.__file__,
        'doc': module.__doc__,
        'name': module.__name__,
        'class': [sr_class.__module__, sr_class.__name__],
        'info': driver_info['name'],
        'cwd': os.getcwd(),
        'stdin': sys.stdin.read(),
        'pid': os.getpid(),
        'children': resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt,
        'globals': sorted(name for name in vars(module) if not name.startswith('__')),
    }
    if 'STOCK_LOAD' in os.environ:
        import SR
        loaded = SR.load_file(os.environ['STOCK_LOAD'])
        seen['loaded'] = [loaded.__name__, SR.driver('lvmoiscsi').__module__]
    sys.stdout.write(answer(json.dumps(seen), driver_info) + '\\n')
    sys.stdout.flush()
    sys.stderr.write('stock was here\\n')
    sys.exit(int(os.environ.get('STOCK_EXIT', '0')))


def answer(seen, driver_info):
    if '<methodName>sr_get_driver_info</methodName>' not in ''.join(sys.argv[1:]):
        return seen
    try:
        from xmlrpclib import dumps
    except ImportError:
        from xmlrpc.client import dumps
    return dumps((dict(driver_info, seen=seen),), methodresponse=True)
`;
