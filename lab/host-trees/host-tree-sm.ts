import type { HostTreeOptions, HostVersion, StockLoader, TreeEntry } from './host-versions.ts';
import { stockDriver, stockLibraries } from './host-tree-stock.ts';

export interface SmFiles {
  readonly files: Readonly<Record<string, TreeEntry>>;
  /** What LVMoISCSISR leads to. */
  readonly stockFile: string;
  readonly sitePackages?: string;
  readonly loader: StockLoader;
}

const SM = '/opt/xensource/sm';
/** sm 4.x. */
const LIBEXEC = '/usr/libexec/sm/drivers';
const SITE = '/usr/lib/python3.6/site-packages';

/**
 * The SM directory of a version (xapi-project/sm, `Makefile` and `mk/sm.spec.in` of its branches). Up to 8.3 an entry
 * is a link to a module beside it; in sm 4.x a link to a small executable whose modules are in the package `sm`
 * (`libs/sm`). Modules that nothing here runs are empty.
 */
export function smFiles(
  version: HostVersion,
  python: string,
  { separateEntry = false, iscsiDriver }: HostTreeOptions,
): SmFiles {
  const tree = withDriver(version === '4.x' ? newTree(python) : oldTree(version, python), iscsiDriver);
  if (!separateEntry) return tree;
  const { [tree.stockFile]: executable, ...others } = tree.files;
  if (executable === undefined) throw new Error(`${tree.stockFile} is not in the tree`);
  // The module stays where other modules import it by name; the entry is an executable of its own.
  const kept = version === '4.x' ? others : tree.files;
  const entry = `${SM}/LVMoISCSISR`;
  return { ...tree, files: { ...kept, [entry]: executable }, stockFile: entry };
}

function withDriver(tree: SmFiles, text: string | undefined): SmFiles {
  return text === undefined ? tree : { ...tree, files: { ...tree.files, [tree.stockFile]: program(text) } };
}

/** The names of the LVM driver's and the iSCSI base module in each version of sm. */
interface Names {
  readonly lvm: string;
  readonly lvmOverIscsi: string;
  readonly lvmOverHba: string;
  readonly iscsiBase: string;
  readonly loader: StockLoader;
}

const LVHD = { lvm: 'LVHDSR', lvmOverIscsi: 'LVHDoISCSISR', lvmOverHba: 'LVHDoHBASR' };

const NAMES: Readonly<Record<HostVersion, Names>> = {
  '6.5': { ...LVHD, iscsiBase: 'ISCSISR', loader: 'imp' },
  '7.x': { ...LVHD, iscsiBase: 'BaseISCSI', loader: 'imp' },
  '8.2': { ...LVHD, iscsiBase: 'BaseISCSI', loader: 'imp' },
  '8.3a': { ...LVHD, iscsiBase: 'BaseISCSI', loader: 'spec' },
  '8.3b': {
    lvm: 'LVMSR',
    lvmOverIscsi: 'LVMoISCSISR',
    lvmOverHba: 'LVMoHBASR',
    iscsiBase: 'BaseISCSI',
    loader: 'spec',
  },
  '4.x': { ...LVHD, iscsiBase: 'BaseISCSI', loader: 'source-file' },
};

function oldTree(version: HostVersion, python: string): SmFiles {
  const names = NAMES[version];
  const stockFile = `${SM}/${names.lvmOverIscsi}.py`;
  const link = (module: string): TreeEntry => ({ kind: 'link', to: `${SM}/${module}.py` });
  const files: Record<string, TreeEntry> = {
    [stockFile]: program(
      stockDriver(python, { base: names.lvm, iscsi: names.iscsiBase, from: '' }, names.lvmOverIscsi),
    ),
    [`${SM}/LVMoISCSISR`]: link(names.lvmOverIscsi),
    [`${SM}/LVMSR`]: link(names.lvm),
    [`${SM}/${names.lvmOverHba}.py`]: EMPTY,
    [`${SM}/LVMoHBASR`]: link(names.lvmOverHba),
    [`${SM}/ISCSISR`]: link(names.iscsiBase === 'ISCSISR' ? 'ISCSISR' : 'RawISCSISR'),
    [`${SM}/XE_SR_ERRORCODES.xml`]: ERROR_TABLE,
    [`${SM}/cleanup.py`]: EMPTY,
    [`${SM}/mpath_dmp.py`]: EMPTY,
  };
  if (names.iscsiBase !== 'ISCSISR') files[`${SM}/RawISCSISR.py`] = EMPTY;
  for (const [module, text] of Object.entries(
    stockLibraries({ base: names.lvm, iscsi: names.iscsiBase }, names.loader),
  )) {
    files[`${SM}/${module}.py`] = file(text);
  }
  for (const plain of ['EXT', 'NFS', 'ISO', 'HBA', 'udev']) {
    files[`${SM}/${plain}SR.py`] = EMPTY;
    files[`${SM}/${plain}SR`] = link(`${plain}SR`);
  }
  return { files, stockFile, loader: names.loader };
}

function newTree(python: string): SmFiles {
  const names = NAMES['4.x'];
  const stockFile = `${LIBEXEC}/LVMoISCSISR`;
  const files: Record<string, TreeEntry> = {
    [stockFile]: program(
      stockDriver(python, { base: names.lvm, iscsi: names.iscsiBase, from: 'sm.drivers.' }, 'LVHDoISCSISR', SITE),
    ),
    [`${SITE}/sm/__init__.py`]: EMPTY,
    [`${SITE}/sm/drivers/__init__.py`]: EMPTY,
    '/usr/share/sm/XE_SR_ERRORCODES.xml': ERROR_TABLE,
  };
  for (const [module, text] of Object.entries(
    stockLibraries({ base: names.lvm, iscsi: names.iscsiBase }, names.loader),
  )) {
    files[`${SITE}/${module}.py`] = file(text);
    files[`${SITE}/sm/drivers/${module}.py`] = file(`from ${module} import *\n`);
  }
  for (const entry of ['LVMoISCSI', 'LVM', 'LVMoHBA', 'ISCSI', 'EXT', 'NFS', 'ISO', 'HBA', 'udev']) {
    if (entry !== 'LVMoISCSI') files[`${LIBEXEC}/${entry}SR`] = program(`#!${python}\n`);
    files[`${SM}/${entry}SR`] = { kind: 'link', to: `${LIBEXEC}/${entry}SR` };
  }
  return { files, stockFile, sitePackages: SITE, loader: names.loader };
}

function file(text: string): TreeEntry {
  return { kind: 'file', text };
}

function program(text: string): TreeEntry {
  return { kind: 'program', text };
}

const EMPTY = file('');
const ERROR_TABLE = file('<?xml version="1.0" ?>\n<SM-errorcodes/>\n');
