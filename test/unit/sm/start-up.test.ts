import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMMAND_NAMES, findCommand } from '../../../src/sm/commands.ts';
import { PLUGIN_FUNCTIONS } from '../../../src/sm/plugin/plugin-functions.ts';
import { type MarkedProduct, markedProduct, type Program } from './evaluated-modules.ts';
import { requestText, SR } from './request-text.ts';

// What a command evaluates is what it costs before it does anything. The layers are the rows of docs/layers.md.

const FRAME = [
  'src/main',
  'src/sm',
  'src/sm/protocol',
  'src/sr/work',
  'src/dom0',
  'src/xmlrpc',
  'src/system',
  'src/base',
];
/** Whether and where the image of an SR is mapped. */
const MAPPED = ['src/sr', 'src/ceph/krbd', 'src/ceph/image'];
/** device_config, and with it the access to a cluster. */
const CONFIG = [...MAPPED, 'src/access', 'src/ceph/cluster', 'src/xapi'];
const VOLUMES = [...MAPPED, 'src/lvm', 'src/lvhd', 'src/vhd/format', 'src/xapi'];
const DISKS = [...VOLUMES, 'src/vhd/image'];

/** Beyond the frame; a command that is not here needs nothing else. */
const OF_COMMAND: Readonly<Record<string, readonly string[]>> = {
  sr_get_driver_info: ['src/sr'],
  sr_probe: [...CONFIG, 'src/lvm', 'src/lvhd'],
  sr_create: [...CONFIG, 'src/lvm', 'src/lvhd'],
  sr_delete: [...DISKS, 'src/ceph/cluster'],
  sr_attach: [...CONFIG, ...DISKS],
  sr_detach: [...CONFIG, 'src/lvm', 'src/lvhd'],
  // Of an SR that is not plugged, as all the others here.
  sr_scan: MAPPED,
  sr_update: VOLUMES,
  vdi_create: DISKS,
  vdi_delete: DISKS,
  vdi_resize: DISKS,
  vdi_snapshot: DISKS,
  vdi_clone: DISKS,
  vdi_update: VOLUMES,
  vdi_attach: [...MAPPED, 'src/datapath'],
  vdi_activate: [...DISKS, 'src/datapath'],
  vdi_deactivate: [...CONFIG, ...DISKS, 'src/datapath'],
  vdi_generate_config: CONFIG,
  vdi_attach_from_config: [...CONFIG, ...DISKS, 'src/datapath'],
  vdi_detach_from_config: [...CONFIG, ...DISKS, 'src/datapath'],
};

/** They ask the cluster. */
const OF_WIZARD = ['sr_probe', 'sr_create'];
const SPEAKS = ['src/ceph/wire/', 'src/ceph/control/', 'src/system/ssh/', 'src/access/open-monitor-host.ts'];

/** What their code needs, beyond the frame and the xapi that vouches for the caller. */
const OF_FUNCTION: Readonly<Record<string, readonly string[]>> = {
  inflate: DISKS,
  deflate: DISKS,
  end_tracking: DISKS,
  is_settled: [],
  refresh: VOLUMES,
  pause: [...DISKS, 'src/datapath'],
  resume: [...DISKS, 'src/datapath'],
  release: [...DISKS, 'src/datapath'],
  is_open: [...DISKS, 'src/datapath'],
};

const OF_PROGRAM: readonly (readonly [Program, string, readonly string[]])[] = [
  ['plugin', 'no request', [...FRAME, 'src/xapi']],
  ['cli', 'version', ['src/main', 'src/cli', 'src/base']],
  [
    'nbd',
    'no order',
    ['src/main', 'src/datapath', 'src/vhd/chain', 'src/vhd/image', 'src/vhd/format', 'src/system', 'src/base'],
  ],
];

/** Builtin modules of Node that take milliseconds to load. */
const DEAR = ['child_process', 'crypto', 'net', 'fs/promises'];

let product: MarkedProduct;
beforeAll(async () => {
  product = await markedProduct();
}, 60_000);
afterAll(() => product[Symbol.dispose]());

test.each(COMMAND_NAMES)('%s evaluates nothing of a layer that it does not use', (name) => {
  const { modules } = product.evaluated('sm', requestOf(name));
  expect(outside([...FRAME, ...(OF_COMMAND[name] ?? [])], modules)).toEqual([]);
  // It has come as far as its own code.
  const handlers = modules.filter((module) => module.startsWith('src/sm/handlers/'));
  expect(handlers).toEqual([`src/sm/handlers/${handlerOf(name)}.ts`]);
});

test.each(COMMAND_NAMES.filter((name) => !OF_WIZARD.includes(name)))(
  '%s of an SR of the wizard evaluates nothing that speaks to a cluster, nor SSH',
  (name) => {
    const device_config = { SRmaster: 'true', port: '6789', target: '192.0.2.1', targetIQN: 'rbd', SCSIid: 'image' };
    const request = requestText(name, { args: ['1024', 'name', ''], device_config });
    const { modules } = product.evaluated('sm', request, { isDiverted: true });
    expect(modules).toContain('src/wizard/lvmoiscsi-driver.ts');
    expect(modules.filter((module) => SPEAKS.some((folder) => module.startsWith(folder)))).toEqual([]);
  },
);

test('vdi_attach of a plugged SR is answered with no more', () => {
  const { modules, stdout } = product.evaluated('sm', requestOf('vdi_attach'), { plugged: SR });
  expect(stdout).toContain('xenstore_data');
  expect(outside([...FRAME, ...(OF_COMMAND['vdi_attach'] ?? [])], modules)).toEqual([]);
});

test.each(['sr_get_driver_info', 'vdi_attach', 'sr_content_type', 'vdi_epoch_begin'])(
  '%s loads nothing of Node that is dear',
  (name) => {
    const { builtins } = product.evaluated('sm', requestOf(name), { plugged: SR });
    expect(builtins).toContain('fs');
    expect(builtins.filter((builtin) => DEAR.includes(builtin))).toEqual([]);
  },
);

test.each([...PLUGIN_FUNCTIONS.keys()])('the function %s evaluates nothing of a layer that it does not use', (name) => {
  const { modules } = product.evaluated('plugin-function', name);
  expect(outside([...FRAME, 'src/xapi', ...(OF_FUNCTION[name] ?? [])], modules)).toEqual([]);
  expect(modules.some((module) => module.startsWith('src/sm/plugin/'))).toBe(true);
});

test.each(OF_PROGRAM)(
  'the program %s evaluates nothing of a layer that it does not use',
  (program, argument, layers) => {
    const { modules } = product.evaluated(program, argument);
    expect(outside(layers, modules)).toEqual([]);
    expect(modules.at(-1)).toMatch(/^src\/main\//);
  },
);

test('an import too many is told by its module', async () => {
  using planted = await markedProduct({
    'src/sr/open-attached-sr.ts': "import '../lvm/config.ts';",
    'src/sm/run-command.ts': "import '../xapi/failure.ts';",
  });
  const tooMany = (name: string): readonly string[] =>
    outside([...FRAME, ...(OF_COMMAND[name] ?? [])], planted.evaluated('sm', requestOf(name)).modules);
  expect(tooMany('sr_get_driver_info')).toEqual(['src/xapi/failure.ts']);
  expect(tooMany('vdi_attach')).toEqual(['src/xapi/failure.ts', 'src/lvm/config.ts']);
  expect(tooMany('vdi_activate')).toEqual([]);
});

function requestOf(name: string): string {
  return requestText(name, { args: ['1024', 'name', ''] });
}

const OTHERWISE_NAMED: Readonly<Record<string, string>> = {
  sr_get_driver_info: 'driver-info',
  vdi_clone: 'vdi-snapshot',
};

function handlerOf(name: string): string {
  if (findCommand(name)?.load === undefined) return 'unimplemented';
  return OTHERWISE_NAMED[name] ?? name.replaceAll('_', '-');
}

function outside(layers: readonly string[], modules: readonly string[]): readonly string[] {
  return modules.filter((module) => !layers.includes(layerOf(module)));
}

function layerOf(module: string): string {
  const layer = LAYERS.find((row) => module.startsWith(`${row}/`));
  if (layer === undefined) throw new Error(`${module} is in no layer`);
  return layer;
}

/** The longest first: a row covers the subfolders of its folder that have no row of their own. */
const LAYERS = [
  ...readFileSync(join(import.meta.dirname, '../../../docs/layers.md'), 'utf8').matchAll(/^\| `(src\/[^`]+)`/gm),
]
  .map(([, row]) => row ?? '')
  .sort((a, b) => b.length - a.length);
