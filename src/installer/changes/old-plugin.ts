import { readFileSync, readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { type Host, SM_DIR } from '../host.ts';
import { readState } from '../changing/path-state.ts';
import type { Placement, Plan, Remark } from '../changing/placement.ts';
import { SM_PACKAGE } from '../sm-package.ts';

/**
 * The RBDSR of 2015 to 2017, in Python (mstarikov/rbdsr and its forks): RBDSR.py in the SM folder, and an installer
 * that patches stock files, each kept as NAME-orig or NAME-oring. A file is put back where that copy has no trace of
 * the plug-in, the file has, and they differ in few lines: then no host update has come between, for it would have
 * replaced the file. Everything else is named.
 */
export function oldPluginPlan(host: Host): Plan {
  const pairs = patchedFiles(host);
  const undone = pairs.filter(({ verdict }) => verdict === 'undo');
  const stillImported = importsOldPlugin(host) && !undone.some(({ path }) => path === DRIVER);
  const old = hasOldPlugin(host);
  const isHere = old || pairs.some(({ verdict }) => verdict !== 'leftover');
  const placements = [
    ...undone.flatMap(({ path, backup }) => [putBack(host, path, backup), remove(backup)]),
    ...(old && !stillImported ? PLUGIN_FILES.filter((path) => host.has(path)).map(remove) : []),
  ];
  return {
    placements,
    notNeeded: 'no trace of one',
    remarks: [
      // A copy of something else beside a file without a patch is an administrator's own.
      ...pairs.filter(({ path }) => isHere || path === DRIVER).flatMap((pair) => remarkOn(pair) ?? []),
      ...(stillImported ? [{ path: DRIVER, ...STILL_PATCHED }] : []),
      ...(isHere ? strayPieces(host, new Set(pairs.map(({ path }) => path))) : []),
      ...LEAVINGS.filter(({ path }) => host.has(path)),
    ],
  };
}

/** True while the stock iSCSI driver does not load without the older plug-in's RBDSR.py. */
export function importsOldPlugin(host: Host): boolean {
  return /^\s*(?:import|from)\b[^#\n]*\bRBDSR\b/m.test(read(host, DRIVER));
}

const DRIVER = `${SM_DIR}/LVHDoISCSISR.py`;
const PLUGIN_FILES = ['RBDSR.py', 'RBDSR.pyc', 'RBDSR.pyo'].map((name) => `${SM_DIR}/${name}`);
const PYTHON_FOLDERS = ['/usr/lib/python2.4/site-packages', '/usr/lib/python2.7/site-packages'];
const LVM_FILES = ['/etc/lvm/lvm.conf', '/etc/lvm/master/lvm.conf'];
const PATCHED_ELSEWHERE = [...LVM_FILES, '/etc/rc.modules', ...PYTHON_FOLDERS.map((folder) => `${folder}/pxssh.py`)];

/** More than any of its patches changes. */
const MOST_LINES = 60;

const STILL_PATCHED = {
  what: "imports the older plug-in's RBDSR.py, which therefore stays: iSCSI SRs would not load without it",
  todo: `reinstall ${SM_PACKAGE}, then run rbdsr enable again`,
};

/** What it made while it ran. */
const LEAVINGS: readonly Remark[] = [
  {
    path: '/etc/rbd',
    what: "holds the cluster's admin key in a readable file (auth), and the monitors (mons); nothing reads them any more",
    todo: 'rm -r /etc/rbd, once no SR is plugged by the older plug-in',
  },
  {
    path: '/var/lib/rbd',
    what: "holds the older plug-in's lists of images; nothing reads them",
    todo: 'rm -r /var/lib/rbd',
  },
];

interface PatchedFile {
  readonly path: string;
  readonly backup: string;
  readonly verdict: 'undo' | 'unsure' | 'leftover';
}

function patchedFiles(host: Host): readonly PatchedFile[] {
  return [...stockFilesWithCopy(host), ...PATCHED_ELSEWHERE].flatMap((path) => {
    const backup = ['-orig', '-oring'].map((suffix) => path + suffix).find((copy) => host.has(copy));
    if (backup === undefined || readState(host.at(path)).kind !== 'file') return [];
    return [{ path, backup, verdict: judge(path, read(host, path), read(host, backup)) }];
  });
}

function stockFilesWithCopy(host: Host): readonly string[] {
  if (!host.has(SM_DIR)) return [];
  return readdirSync(host.at(SM_DIR))
    .filter((name) => /\.py-orin?g$/.test(name))
    .map((name) => `${SM_DIR}/${name.replace(/-orin?g$/, '')}`);
}

function judge(path: string, text: string, copy: string): PatchedFile['verdict'] {
  if (text === copy) return hasTrace(path, copy) ? 'unsure' : 'leftover';
  // pxssh's patch leaves no name of its own.
  const isPatched = hasTrace(path, text) || basename(path) === 'pxssh.py';
  if (!isPatched) return 'leftover';
  return !hasTrace(path, copy) && differingLines(text, copy) <= MOST_LINES ? 'undo' : 'unsure';
}

function hasTrace(path: string, text: string): boolean {
  if (LVM_FILES.includes(path)) return /^\s*types\s*=.*"rbd"/m.test(text);
  if (path === '/etc/rc.modules') return /^\s*modprobe\s+rbd\b/m.test(text);
  return /\bRBDSR\b|\b6789\b|path_nomp|\brbd\b/.test(text);
}

/** How many lines only one of the two has. */
function differingLines(a: string, b: string): number {
  const counts = new Map<string, number>();
  for (const line of a.split('\n')) counts.set(line, (counts.get(line) ?? 0) + 1);
  for (const line of b.split('\n')) counts.set(line, (counts.get(line) ?? 0) - 1);
  return [...counts.values()].reduce((sum, count) => sum + Math.abs(count), 0);
}

function putBack(host: Host, path: string, backup: string): Placement {
  const state = readState(host.at(path));
  const mode = state.kind === 'file' ? state.mode : 0o644;
  return { path, want: { kind: 'file', data: readFileSync(host.at(backup)), mode }, owner: 'theirs' };
}

function remove(path: string): Placement {
  return { path, want: { kind: 'absent' }, owner: 'theirs' };
}

function remarkOn({ path, backup, verdict }: PatchedFile): Remark | undefined {
  if (verdict === 'undo') return undefined;
  if (verdict === 'leftover') {
    return { path: backup, what: `is left over: ${path} has no patch of the older plug-in`, todo: `rm ${backup}` };
  }
  return {
    path,
    what: `is patched by the older plug-in, and ${backup} is not what was there before`,
    todo: `reinstall the package that owns it (rpm -qf ${path}), then rm ${backup}`,
  };
}

function hasOldPlugin(host: Host): boolean {
  const path = `${SM_DIR}/RBDSR.py`;
  return readState(host.at(path)).kind === 'file' && /^\s*class\s+RBDSR\b/m.test(read(host, path));
}

/** What it changes without keeping a copy; on a host without other traces of it these are the administrator's own. */
function strayPieces(host: Host, known: ReadonlySet<string>): readonly Remark[] {
  const lvm = LVM_FILES.filter((path) => !known.has(path) && hasTrace(path, read(host, path)));
  const python = PYTHON_FOLDERS.flatMap((folder) => [`${folder}/pxssh.py`, `${folder}/pexpect.py`]).filter(
    (path) => !known.has(path) && host.has(path),
  );
  return [
    ...lvm.map((path) => ({
      path,
      what: 'lets LVM look at RBD devices (types has "rbd")',
      todo: 'take "rbd" out of types',
    })),
    ...python.map((path) => ({
      path,
      what: "may be the older plug-in's copy",
      todo: `rm ${path}, unless "rpm -qf ${path}" names a package`,
    })),
  ];
}

function read(host: Host, path: string): string {
  return readState(host.at(path)).kind === 'file' ? readFileSync(host.at(path), 'latin1') : '';
}
