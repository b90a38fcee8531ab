import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { etcFiles } from './host-tree-etc.ts';
import { smFiles } from './host-tree-sm.ts';
import type { HostTreeOptions, HostVersion, StockLoader, TreeEntry } from './host-versions.ts';

/** A host's files below a folder, as they are before RBDSR comes. */
export interface HostTree {
  readonly version: HostVersion;
  readonly root: string;
  /** /opt/xensource/sm below the root. */
  readonly smDir: string;
  /** /opt/xensource/sm/LVMoISCSISR below the root. */
  readonly entry: string;
  /** The real file of the stock driver below the root: what `entry` leads to. */
  readonly stockFile: string;
  /** How stock Python code of this version loads a driver file (sm `SR.py`, `blktap2.py`). */
  readonly loader: StockLoader;
  /**
   * For PYTHONPATH: where a real host's interpreter finds the package `sm`; undefined where drivers find their modules
   * beside them.
   */
  readonly sitePackages: string | undefined;
  /** An absolute path of the host, below the root. */
  path(absolute: string): string;
}

/**
 * Writes the tree of `version` into the folder `root`, which is made if need be. Links inside the tree are relative, so
 * it can be moved.
 */
export function buildHostTree(version: HostVersion, root: string, options: HostTreeOptions = {}): HostTree {
  const python = options.python ?? '/usr/bin/python3';
  const path = (absolute: string): string => join(root, absolute);
  const sm = smFiles(version, python, options);
  for (const [absolute, entry] of [...Object.entries(etcFiles(version, python)), ...Object.entries(sm.files)]) {
    place(path(absolute), entry, path);
  }
  return {
    version,
    root,
    smDir: path('/opt/xensource/sm'),
    entry: path('/opt/xensource/sm/LVMoISCSISR'),
    stockFile: path(sm.stockFile),
    loader: sm.loader,
    sitePackages: sm.sitePackages === undefined ? undefined : path(sm.sitePackages),
    path,
  };
}

function place(at: string, entry: TreeEntry, path: (absolute: string) => string): void {
  mkdirSync(entry.kind === 'folder' ? at : dirname(at), { recursive: true });
  if (entry.kind === 'folder') return;
  if (entry.kind === 'link') symlinkSync(relative(dirname(at), path(entry.to)), at);
  else if (entry.kind === 'outside-link') symlinkSync(entry.to, at);
  else {
    writeFileSync(at, entry.text);
    chmodSync(at, entry.kind === 'program' ? 0o755 : 0o644);
  }
}
