import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { KrbdRoots } from '../../src/ceph/krbd/krbd-sysfs.ts';

export type Tree = Readonly<Record<string, string>>;

export const FSID = '62c2d501-2b1a-4299-8cc4-e1af5c4b677c';
export const OTHER_FSID = '0d4e6ffe-11f4-4ce3-b0f8-9de4c8b1cd32';

/**
 * Recorded on Linux 6.1.0-56-amd64 with Ceph 16.2.15: `echo "10.66.9.1:6789 name=xen,secret=...,noshare,mount_timeout=8
 * rbd t1 -"`.
 */
export function linux61(index: number, changes: Tree = {}): Tree {
  return device(index, {
    client_addr: '10.66.9.1:0/3232529558',
    client_id: `client${4270 + index}`,
    cluster_fsid: FSID,
    config_info:
      '10.66.9.1:6789 name=xen,secret=AQD4T2FmAAAAABAAB0cl3lu9dHQZwSYx1MD9XA==,noshare,mount_timeout=8 rbd t1 -',
    current_snap: '-',
    features: '0x0000000000000001',
    image_id: '1013eb638fb0',
    major: '254',
    minor: String(index * 16),
    name: 't1',
    parent: '(no parent image)',
    pool: 'rbd',
    pool_id: '1',
    pool_ns: '',
    size: '2147483648',
    snap_id: '18446744073709551614',
    ...changes,
  });
}

/** What Linux 4.4 (XenServer 7.1 to 7.6) has of it: no cluster_fsid, client_addr, config_info, pool_ns. */
export function linux44(index: number, changes: Tree = {}): Tree {
  return device(index, {
    client_id: `client${4270 + index}`,
    current_snap: '-',
    features: '0x0000000000000001',
    image_id: '1013eb638fb0',
    major: '251',
    minor: String(index * 16),
    name: 't1',
    parent: '(no parent image)',
    pool: 'rbd',
    pool_id: '1',
    size: '2147483648',
    ...changes,
  });
}

/** What Linux 3.10 (XenServer 6.5 and 7.0) has: no minor either, and a major number per device. */
export function linux310(index: number, changes: Tree = {}): Tree {
  const { [`bus/rbd/devices/${index}/minor`]: _minor, ...rest } = linux44(index, {
    major: String(251 - index),
    ...changes,
  });
  return rest;
}

/** Debugfs, as every kernel shows it once mounted. */
export function debugClient(fsid: string, client: string, monitors: readonly string[]): Tree {
  const lines = monitors.map((monitor, index) => `\tmon${index}\t${monitor}\n`);
  return { [`kernel/debug/ceph/${fsid}.${client}/monmap`]: `epoch 1\n${lines.join('')}` };
}

/** A `/sys` of these files in a temporary folder. */
export function recorded(...trees: readonly Tree[]): KrbdRoots & { remove(): void } {
  const sysRoot = mkdtempSync(join(tmpdir(), 'rbdsr-ceph-sysfs-'));
  for (const tree of trees) writeTree({ sysRoot }, tree);
  return { sysRoot, devRoot: '/dev', remove: () => rmSync(sysRoot, { recursive: true }) };
}

/** What comes up in it later. */
export function writeTree({ sysRoot }: Pick<KrbdRoots, 'sysRoot'>, tree: Tree): void {
  for (const [path, text] of Object.entries(tree)) {
    mkdirSync(dirname(join(sysRoot, path)), { recursive: true });
    writeFileSync(join(sysRoot, path), `${text}\n`);
  }
}

function device(index: number, attributes: Tree): Tree {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [`bus/rbd/devices/${index}/${name}`, value]),
  );
}
