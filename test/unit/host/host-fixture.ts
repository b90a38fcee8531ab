import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach } from 'vitest';
import { type Host, openHost } from '../../../src/installer/host.ts';
import { encodeResponse } from '../../../src/xmlrpc/encode.ts';
import { buildHostTree } from '../../../lab/host-trees/host-trees.ts';
import type { HostTreeOptions } from '../../../lab/host-trees/host-versions.ts';
import type { HostVersion } from '../../../lab/host-trees/host-versions.ts';

/**
 * In memory: the installer asks for every step to be on the disk before the next, and the tests make it go through
 * thousands.
 */
export const FAST_FOLDER = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

const PROJECT = join(import.meta.dirname, '../../..');
/** That of the built command, which some tests use on the same host. */
const { version: VERSION } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { version: string };

/** Not what a host has before enable and after disable; everything else in these folders is. */
export function isState(path: string): boolean {
  return path.startsWith('/var/lib/rbdsr') || path.startsWith('/opt/rbdsr/state');
}

/**
 * Hosts that are folders, with the product's files in place as its package puts them; gone after each test. The
 * installer runs their stock iSCSI driver all the time, so it is a program that starts fast, unless `iscsiDriver` says
 * otherwise.
 */
export function useHosts(): { make(version: HostVersion, options?: HostTreeOptions): HostFixture } {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });
  return {
    make(version, options) {
      const folder = mkdtempSync(join(FAST_FOLDER, 'rbdsr-installer-'));
      folders.push(folder);
      const root = join(folder, 'host');
      buildHostTree(version, root, { iscsiDriver: answeringDriver('LVHD over iSCSI'), ...options });
      placeProduct(root);
      return fixture(root);
    },
  };
}

export interface HostFixture {
  readonly root: string;
  /** Opens it as a new process would. */
  open(version?: string): Host;
  at(path: string): string;
  write(path: string, text: string, mode?: number): void;
  read(path: string): string;
  remove(path: string): void;
  /**
   * Every path with its mode and content: `/etc/x` as `file 644 <content>`, link or folder. Run-time files are left
   * out.
   */
  snapshot(): ReadonlyMap<string, string>;
}

export function fixture(root: string): HostFixture {
  const at = (path: string): string => root + path;
  return {
    root,
    at,
    open: (version = VERSION) => openHost(root, `Version : ${version}`),
    write(path, text, mode = 0o644) {
      mkdirSync(dirname(at(path)), { recursive: true });
      writeFileSync(at(path), text);
      chmodSync(at(path), mode);
    },
    read: (path) => readFileSync(at(path), 'utf8'),
    remove: (path) => rmSync(at(path), { recursive: true }),
    snapshot() {
      const entries = new Map<string, string>();
      walk(root, '', entries);
      return entries;
    },
  };
}

/** A stock driver that says what it is, and nothing else. */
export function answeringDriver(name: string): string {
  return `#!/bin/sh\ncat <<'END'\n${encodeResponse({ name, capabilities: [] })}END\n`;
}

/**
 * What /proc of the host, which was booted when this machine was, tells of a process that was started so many seconds
 * ago (proc(5)).
 */
export function startProcess(host: HostFixture, pid: number, name: string, secondsAgo: number): void {
  const [uptime] = readFileSync('/proc/uptime', 'utf8').split(' ');
  const start = Math.round((Number(uptime) - secondsAgo) * 100);
  host.write(`/proc/${pid}/stat`, `${pid} (${name}) S 1${' 0'.repeat(17)} ${start} 0 0\n`);
  if (!existsSync(host.at('/proc/uptime'))) symlinkSync('/proc/uptime', host.at('/proc/uptime'));
}

/** Stand-ins, which the installer only looks for; but the dispatcher, which it runs. */
export function placeProduct(root: string): void {
  const product = join(root, 'opt/rbdsr');
  mkdirSync(join(product, 'shims'), { recursive: true });
  for (const program of ['launcher.sh', 'plugin.sh']) {
    writeFileSync(join(product, program), '#!/bin/sh\nexit 0\n');
    chmodSync(join(product, program), 0o755);
  }
  copyFileSync(join(PROJECT, 'src/main/divert.py'), join(product, 'divert.py'));
  chmodSync(join(product, 'divert.py'), 0o755);
  copyFileSync(join(PROJECT, 'packaging/shims/RBDSR.py'), join(product, 'shims/RBDSR.py'));
}

function walk(root: string, path: string, into: Map<string, string>): void {
  for (const name of readdirSync(join(root, path)).sort()) {
    const inner = `${path}/${name}`;
    // The lock of the installer, in memory on a real host.
    if (inner === '/var/run') continue;
    const facts = lstatSync(root + inner);
    const mode = (facts.mode & 0o7777).toString(8);
    if (facts.isSymbolicLink()) into.set(inner, `link ${readlinkSync(root + inner)}`);
    else if (facts.isDirectory()) {
      into.set(inner, `folder ${mode}`);
      walk(root, inner, into);
    } else if (facts.isFile()) into.set(inner, `file ${mode} ${readFileSync(root + inner, 'latin1')}`);
  }
}
