import { lvmConfig } from '../../../src/lvm/config.ts';
import { LV_FIELDS, REPORT_FIELDS, SEPARATOR } from '../../../src/lvm/report.ts';

/** What the device holds when LVM is called. A change leads from one state to another. */
export type Disk =
  | 'blank'
  | 'sr'
  | 'sr-active'
  | 'sr-created'
  | 'sr-renamed'
  | 'sr-grown'
  | 'sr-shrunk'
  | 'sr-read-only'
  | 'sr-tagged'
  | 'other-vg'
  | 'empty-vg'
  | 'bare-pv'
  | 'wiped-pv'
  | 'damaged-text'
  | 'damaged-header'
  | 'damaged-label';

/** How a call is configured: as a slave's, with `metadata_read_only=1`, or as the SR master's. */
export type Access = 'slave' | 'master';

export interface ScriptedCall {
  readonly disk: Disk;
  readonly access: Access;
  readonly argv: readonly string[];
  /** The state after it, where it does what it is for. */
  readonly becomes?: Disk;
}

/** The SR that the stock storage manager left in test/fixtures/sr/plain.tar.xz. */
export const VG = 'VG_XenStorage-3b0a613f-33a8-4974-80bc-20ad6754d7c3';
export const LV = 'VHD-c612021a-efef-4c8a-a3b3-dc3351643534';
/** In transcripts, in the place of what differs between two recordings. */
export const DEVICE = '@DEVICE';
export const FIELDS = '@FIELDS';
export const CONFIG: Readonly<Record<Access, string>> = { slave: '@SLAVE', master: '@MASTER' };
/** What LVM takes up: an LV of 8 MiB that is renamed, grown to 16 MiB and shrunk to 4 MiB. */
export const NEW = 'a';
export const NAMED = 'b';
const MiB = 1024 * 1024;

const FORMAT = ['--noheadings', '--nosuffix', '--units', 'b', '--separator', SEPARATOR, '-o'];
export const REPORT = ['pvs', ...FORMAT, REPORT_FIELDS.join(','), DEVICE];
/** As it was asked once. */
export const REPORT_OF_ALL = ['pvs', ...FORMAT, REPORT_FIELDS.join(',')];
const LVS = ['lvs', ...FORMAT, 'lv_name,lv_size', VG];
/** Of one LV, after a change. */
export const lvs = (name: string): readonly string[] => ['lvs', ...FORMAT, LV_FIELDS.join(','), `${VG}/${name}`];
const LAYOUT = ['--dataalignment', '4096k', '--metadatasize', '10m', '--physicalextentsize', '4m'];
const VGCREATE = ['vgcreate', ...LAYOUT, VG, DEVICE];

export const lvcreate = (name: string, bytes: number): readonly string[] => [
  'lvcreate',
  '-an',
  '-Zn',
  '-n',
  name,
  '-L',
  `${bytes}b`,
  VG,
];
const withoutInactive = (argv: readonly string[]): readonly string[] => argv.filter((word) => word !== '-an');
export const lvremove = (name: string): readonly string[] => ['lvremove', '-f', `${VG}/${name}`];
export const lvrename = (from: string, to: string): readonly string[] => ['lvrename', VG, from, to];
export const lvresize = (name: string, bytes: number): readonly string[] => [
  'lvresize',
  '-f',
  '-L',
  `${bytes}b`,
  `${VG}/${name}`,
];
const ignoringFs = ([command = '', ...rest]: readonly string[]): readonly string[] => [
  command,
  '--fs',
  'ignore',
  ...rest,
];
export const lvchange = (name: string, ...change: readonly string[]): readonly string[] => [
  'lvchange',
  ...change,
  `${VG}/${name}`,
];

/**
 * Every call of class `Lvm`, on every kind of disk it may meet, and the changes it refuses by itself on a slave. In
 * order.
 */
export const SCRIPT: readonly ScriptedCall[] = [
  ...both('blank', REPORT),
  ...both('blank', REPORT_OF_ALL),
  one('slave', 'blank', VGCREATE),
  ...both('other-vg', REPORT),
  ...both('damaged-text', REPORT),
  ...both('damaged-header', REPORT),
  ...both('damaged-label', REPORT),

  ...both('sr', REPORT),
  ...both('sr', REPORT_OF_ALL),
  ...both('sr', LVS),
  ...[
    lvcreate(NEW, 8 * MiB),
    withoutInactive(lvcreate(NEW, 8 * MiB)),
    lvremove(LV),
    lvrename(LV, NAMED),
    lvresize(LV, 64 * MiB),
    ignoringFs(lvresize(LV, 4 * MiB)),
    lvresize(LV, 4 * MiB),
    lvchange(LV, '-p', 'r'),
    lvchange(LV, '--addtag', 'hidden'),
    ['pvresize', DEVICE],
    ['vgremove', VG],
    ['pvremove', DEVICE],
    VGCREATE,
  ].map((argv) => one('slave', 'sr', argv)),

  one('slave', 'sr', lvchange(LV, '-ay'), 'sr-active'),
  one('master', 'sr', lvchange(LV, '-ay'), 'sr-active'),
  ...both('sr-active', REPORT),
  ...both('sr-active', lvchange(LV, '-ay')),
  ...both('sr-active', lvchange(LV, '--refresh')),
  one('slave', 'sr-active', lvchange(LV, '-an'), 'sr'),
  one('master', 'sr-active', lvchange(LV, '-an'), 'sr'),
  ...both('sr', lvchange(LV, '-an')),
  ...both('sr', lvchange(LV, '--refresh')),
  ...both('sr', lvchange('no', '-ay')),

  one('master', 'sr', lvcreate(LV, 8 * MiB)),
  one('master', 'sr', lvcreate(NEW, 4096 * MiB)),
  one('master', 'sr', withoutInactive(lvcreate(NEW, 4096 * MiB))),
  one('master', 'sr', lvresize(LV, 4096 * MiB)),
  one('master', 'sr', lvresize('no', 8 * MiB)),
  one('master', 'sr', lvremove('no')),
  one('master', 'sr', lvrename('no', NAMED)),
  one('master', 'sr', lvchange('no', '--addtag', 'hidden')),
  one('master', 'sr', VGCREATE),
  one('master', 'sr', ['vgremove', VG]),
  one('master', 'sr', ['pvresize', DEVICE]),

  one('master', 'sr', lvcreate(NEW, 8 * MiB), 'sr-created'),
  one('master', 'sr', withoutInactive(lvcreate(NEW, 8 * MiB)), 'sr-created'),
  one('master', 'sr', lvs(NEW)),
  one('master', 'sr', lvs(LV)),
  one('master', 'sr-created', REPORT),
  one('master', 'sr-created', lvs(NEW)),
  one('master', 'sr-created', lvchange(NEW, '-an')),
  one('master', 'sr-created', lvrename(NEW, NAMED), 'sr-renamed'),
  one('master', 'sr-renamed', REPORT),
  one('master', 'sr-renamed', lvresize(NAMED, 8 * MiB)),
  one('master', 'sr-renamed', lvresize(NAMED, 16 * MiB), 'sr-grown'),
  one('master', 'sr-grown', REPORT),
  one('master', 'sr-grown', lvs(NAMED)),
  one('master', 'sr-grown', ignoringFs(lvresize(NAMED, 4 * MiB)), 'sr-shrunk'),
  one('master', 'sr-grown', lvresize(NAMED, 4 * MiB), 'sr-shrunk'),
  one('master', 'sr-shrunk', REPORT),
  one('master', 'sr-shrunk', lvs(NAMED)),
  one('master', 'sr-shrunk', ignoringFs(lvresize(NAMED, 4 * MiB))),
  one('master', 'sr-shrunk', lvchange(NAMED, '-p', 'r'), 'sr-read-only'),
  one('master', 'sr-read-only', REPORT),
  one('master', 'sr-read-only', lvchange(NAMED, '-p', 'r')),
  one('master', 'sr-read-only', lvchange(NAMED, '-p', 'rw'), 'sr-shrunk'),
  one('master', 'sr-shrunk', lvchange(NAMED, '--addtag', 'hidden'), 'sr-tagged'),
  one('master', 'sr-tagged', REPORT),
  one('master', 'sr-tagged', lvchange(NAMED, '--deltag', 'hidden'), 'sr-shrunk'),
  one('master', 'sr-shrunk', lvremove(NAMED), 'sr'),

  one('master', 'blank', VGCREATE, 'empty-vg'),
  ...both('empty-vg', REPORT),
  one('slave', 'empty-vg', ['vgremove', VG]),
  one('master', 'empty-vg', ['vgremove', VG], 'bare-pv'),
  ...both('bare-pv', REPORT),
  one('slave', 'bare-pv', ['pvremove', DEVICE]),
  one('master', 'bare-pv', ['pvremove', DEVICE], 'wiped-pv'),
  ...both('wiped-pv', REPORT),
];

/** The words LVM is started with. */
export function realArgv(call: ScriptedCall, device: string): string[] {
  const [command = '', ...rest] = call.argv.map((word) => (word === DEVICE ? device : word));
  return [command, '--config', configOf(call, device), ...rest];
}

export function configOf({ access }: ScriptedCall, device: string): string {
  return lvmConfig({ device, writable: access === 'master' });
}

function one(access: Access, disk: Disk, argv: readonly string[], becomes?: Disk): ScriptedCall {
  return { disk, access, argv, ...(becomes === undefined ? {} : { becomes }) };
}

function both(disk: Disk, argv: readonly string[]): ScriptedCall[] {
  return [one('slave', disk, argv), one('master', disk, argv)];
}
