import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { pythons } from '../../unit/divert/pythons.ts';
import { EmptyRoot } from './empty-root.ts';
import { type Ended, ended } from './small-product.ts';

// What the RPM's scripts do, by packages of the same spec whose product is a few lines of shell.

const PROJECT = join(import.meta.dirname, '../../..');
const folder = mkdtempSync(join(tmpdir(), 'rbdsr-rpm-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// Debian's rpm warns on stderr that it is not how Debian installs packages.
function rpm(root: EmptyRoot, ...args: string[]): string {
  return execFileSync('rpm', ['--root', root.path, ...args], { encoding: 'utf8', stdio: 'pipe' });
}

function erase(root: EmptyRoot): Ended {
  return ended(['rpm', '--root', root.path, '-e', 'rbdsr']);
}

/** An RPM of a product that keeps a record of what it is asked for. */
function smallRpm(of: string): string {
  const file = join(folder, `small-${of}.rpm`);
  if (existsSync(file)) return file;
  const tree = join(folder, `tree-${of}`);
  const home = join(tree, 'opt/rbdsr');
  mkdirSync(join(home, `${of}-small`), { recursive: true });
  const script = `#!/bin/sh\necho "${of} $*" >>/asked\n[ "$1" != disable ] || { [ ! -e /refuses ] && rm -r /var/lib/rbdsr; }\n`;
  writeFileSync(join(home, `${of}-small/launcher.sh`), script, { mode: 0o755 });
  mkdirSync(join(home, `${of}-small/shims`));
  copyFileSync(join(PROJECT, 'packaging/shims/RBDSR.py'), join(home, `${of}-small/shims/RBDSR.py`));
  execFileSync('ln', ['-s', `${of}-small`, join(home, 'current')]);
  execFileSync('ln', ['-s', 'current/launcher.sh', join(home, 'launcher.sh')]);
  execFileSync(process.execPath, [join(PROJECT, 'scripts/package/rpm.mjs'), tree, of, file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return file;
}

/** What a self-extracting file of that version leaves. */
function installByFile(root: EmptyRoot, version: string): string {
  const home = join(root.path, 'opt/rbdsr');
  mkdirSync(join(home, version), { recursive: true });
  for (const name of ['launcher.sh', 'only-there']) {
    writeFileSync(join(home, version, name), '#!/bin/sh\n', { mode: 0o755 });
    symlinkSync(`current/${name}`, join(home, name));
  }
  symlinkSync(version, join(home, 'current'));
  return join(home, version);
}

function record(root: EmptyRoot, version: string): void {
  mkdirSync(join(root.path, 'var/lib/rbdsr'), { recursive: true });
  const content = { format: 1, product: version, state: 'enabled', entries: [] };
  writeFileSync(join(root.path, 'var/lib/rbdsr/changes.json'), JSON.stringify(content, undefined, 2));
}

test('enables again after an upgrade, and is not erased while it cannot be disabled', () => {
  using root = new EmptyRoot();
  const home = join(root.path, 'opt/rbdsr');
  rpm(root, '-i', '--nodeps', smallRpm('1.0.0'));
  record(root, '1.0.0');
  rpm(root, '-U', '--nodeps', smallRpm('2.0.0'));
  expect(readlinkSync(join(home, 'current'))).toBe('2.0.0-small');
  expect(readFileSync(join(root.path, 'asked'), 'utf8')).toBe('2.0.0 enable\n');
  expect(readdirSync(home).sort()).toEqual(['2.0.0-small', 'current', 'launcher.sh']);

  writeFileSync(join(root.path, 'refuses'), '');
  expect(erase(root).stderr).toContain('scriptlet failed');
  expect(readlinkSync(join(home, 'current'))).toBe('2.0.0-small');
  rpm(root, '-U', '--nodeps', smallRpm('3.0.0'));
  expect(readlinkSync(join(home, 'current'))).toBe('3.0.0-small');
  rmSync(join(root.path, 'refuses'));
  rpm(root, '-e', 'rbdsr');
  expect(readFileSync(join(root.path, 'asked'), 'utf8').trim().split('\n')).toEqual([
    '2.0.0 enable',
    '2.0.0 disable',
    '3.0.0 enable',
    '3.0.0 disable',
  ]);
});

/** A package of the host's own, of this name, with nothing in it. */
function hostRpm(name: string, version: string): string {
  const work = join(folder, `${name}-${version}`);
  mkdirSync(work);
  const head = `Name: ${name}\nVersion: ${version}\nRelease: 1\nSummary: none\nLicense: none\nBuildArch: noarch\n`;
  writeFileSync(join(work, 'spec'), `${head}%description\n%files\n`);
  execFileSync('rpmbuild', ['-bb', '--quiet', '--define', `_topdir ${work}`, 'spec'], { cwd: work, stdio: 'ignore' });
  return join(work, `RPMS/noarch/${name}-${version}-1.noarch.rpm`);
}

test('repairs after an update of the storage manager, where it is enabled', () => {
  using root = new EmptyRoot();
  rpm(root, '-i', '--nodeps', smallRpm('1.0.0'));
  rpm(root, '-U', '--nodeps', hostRpm('sm', '1'));
  expect(existsSync(join(root.path, 'asked'))).toBe(false);
  record(root, '1.0.0');
  rpm(root, '-U', '--nodeps', hostRpm('sm', '2'));
  rpm(root, '-U', '--nodeps', hostRpm('xapi-core', '1'));
  rpm(root, '-U', '--nodeps', hostRpm('other', '1'));
  expect(readFileSync(join(root.path, 'asked'), 'utf8')).toBe('1.0.0 repair\n1.0.0 repair\n');
});

test.each(['1.0.0-small', '1.0.0-small.2', '0.9.0-0123abcd'])(
  'over what a self-extracting file has installed as %s: only what the RPM brings stays',
  (version) => {
    using root = new EmptyRoot();
    const home = join(root.path, 'opt/rbdsr');
    installByFile(root, version);
    mkdirSync(join(home, 'state'));
    rpm(root, '-U', '--nodeps', smallRpm('1.0.0'));
    const own = version === '1.0.0-small' ? ['only-there'] : [];
    expect(readdirSync(home).sort()).toEqual(['1.0.0-small', 'current', 'launcher.sh', ...own, 'state']);
    expect(readlinkSync(join(home, 'current'))).toBe('1.0.0-small');
    expect(readFileSync(join(home, 'launcher.sh'), 'utf8')).toContain('1.0.0');
    expect(rpm(root, '-V', '--nodeps', 'rbdsr')).toBe('');
  },
);

/** The scripts see the root's /proc, and the disk in it. */
const WITH_DISK = `set -e
mount -t proc proc "$1/proc"
chroot "$1" /opt/rbdsr/0.9.0-0123abcd/busybox sleep 300 &
until grep -q 0.9.0-0123abcd "/proc/$!/maps"; do sleep 0.05; done
rpm --root "$1" -U --nodeps "$2"
ls "$1/opt/rbdsr"
kill -9 "$!"
wait "$!" || true
rpm --root "$1" -U --nodeps "$3"`;

test('a version that a running disk uses stays until a later installation', () => {
  using root = new EmptyRoot();
  const old = installByFile(root, '0.9.0-0123abcd');
  copyFileSync('/bin/busybox', join(old, 'busybox'));
  chmodSync(join(old, 'busybox'), 0o755);
  const rpms = [smallRpm('1.0.0'), smallRpm('2.0.0')];
  const end = ended(['unshare', '-m', 'sh', '-c', WITH_DISK, 'sh', root.path, ...rpms]);
  expect(end.stdout).toContain('/opt/rbdsr/0.9.0-0123abcd is still used by a running disk');
  expect(end).toMatchObject({ code: 0, stdout: expect.stringMatching(/^0\.9\.0-0123abcd\n1\.0\.0-small\n/m) });
  expect(existsSync(old)).toBe(false);
});

test('is not erased while an entry of the storage manager leads into it, which it names', () => {
  using root = new EmptyRoot();
  rpm(root, '-i', '--nodeps', smallRpm('1.0.0'));
  const drivers = join(root.path, 'opt/xensource/sm');
  mkdirSync(drivers, { recursive: true });
  symlinkSync('/usr/libexec/sm/drivers/EXTSR', join(drivers, 'EXTSR'));
  symlinkSync('/opt/rbdsr/divert.py', join(drivers, 'LVMoISCSISR'));
  const refused = erase(root);
  expect(refused.stderr).toContain('/opt/xensource/sm/LVMoISCSISR -> /opt/rbdsr/divert.py');
  expect(refused.stderr).not.toContain('EXTSR');
  expect(readlinkSync(join(root.path, 'opt/rbdsr/current'))).toBe('1.0.0-small');
  unlinkSync(join(drivers, 'LVMoISCSISR'));
  expect(erase(root).code).toBe(0);
  expect(readdirSync(join(root.path, 'opt'))).toEqual(['xensource']);
});

test('an older package is refused, with a sentence: over a newer one, over a newer self-extracting file, where a newer one is enabled', () => {
  const sentence =
    /this is version 1\.9\.9, and this host has the newer 1\.10\.0\. Nothing was changed\..*\n.*rbdsr disable/;
  const older = (root: EmptyRoot): Ended =>
    ended(['rpm', '--root', root.path, '-U', '--oldpackage', '--nodeps', smallRpm('1.9.9')]);
  using over = new EmptyRoot();
  rpm(over, '-i', '--nodeps', smallRpm('1.10.0'));
  const refused = older(over);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toMatch(sentence);
  expect(readlinkSync(join(over.path, 'opt/rbdsr/current'))).toBe('1.10.0-small');
  expect(rpm(over, '-V', '--nodeps', 'rbdsr')).toBe('');

  using file = new EmptyRoot();
  installByFile(file, '1.10.0-0123abcd');
  expect(older(file).stderr).toMatch(sentence);
  expect(readlinkSync(join(file.path, 'opt/rbdsr/current'))).toBe('1.10.0-0123abcd');

  using enabled = new EmptyRoot();
  record(enabled, '1.10.0');
  expect(older(enabled).stderr).toMatch(sentence);
  expect(existsSync(join(enabled.path, 'opt/rbdsr/current'))).toBe(false);
});

test('what enable puts on the host belongs to the package; erasing leaves what is something else by then', () => {
  using root = new EmptyRoot();
  rpm(root, '-i', '--nodeps', smallRpm('1.0.0'));
  const put = ['usr/bin/rbdsr', 'opt/xensource/sm/RBDSR', 'etc/systemd/system/rbdsr-repair.path'];
  for (const path of put) {
    mkdirSync(dirname(join(root.path, path)), { recursive: true });
    symlinkSync('/opt/rbdsr/launcher.sh', join(root.path, path));
    expect(rpm(root, '-qf', `/${path}`)).toMatch(/^rbdsr-1\.0\.0-1\.x86_64\n$/);
  }
  expect(rpm(root, '-qf', '/var/lib/rbdsr')).toMatch(/^rbdsr-/);
  expect(rpm(root, '-V', '--nodeps', 'rbdsr')).toBe('');
  // What iSCSI needs without the package is not its.
  const iscsi = ['LVMoISCSISR', 'rbdsr-divert.py', 'rbdsr-stock/LVMoISCSISR'].map((name) => `opt/xensource/sm/${name}`);
  const listed = rpm(root, '-ql', 'rbdsr').split('\n');
  expect(listed).toEqual(expect.arrayContaining(put.map((path) => `/${path}`)));
  expect(listed.filter((path) => iscsi.includes(path.slice(1)))).toEqual([]);
  // Disabled by now; these are of somebody else.
  for (const path of put) unlinkSync(join(root.path, path));
  writeFileSync(join(root.path, 'usr/bin/rbdsr'), 'of somebody else');
  symlinkSync('/usr/lib/others.path', join(root.path, 'etc/systemd/system/rbdsr-repair.path'));
  rpm(root, '-e', 'rbdsr');
  expect(readFileSync(join(root.path, 'usr/bin/rbdsr'), 'utf8')).toBe('of somebody else');
  expect(readlinkSync(join(root.path, 'etc/systemd/system/rbdsr-repair.path'))).toBe('/usr/lib/others.path');
});

test.each(pythons())('Python $version has compiled modules of ours: erasing leaves nothing of it', (python) => {
  using root = new EmptyRoot();
  rpm(root, '-i', '--nodeps', smallRpm('1.0.0'));
  const module = join(root.path, 'opt/rbdsr/1.0.0-small/shims/RBDSR.py');
  const end = ended([python.program, '-c', LOAD, module], { PYTHONDONTWRITEBYTECODE: '' });
  expect(end).toMatchObject({ code: 0, stderr: '' });
  const compiled = readdirSync(join(root.path, 'opt/rbdsr'), { recursive: true, encoding: 'utf8' });
  expect(compiled.filter((path) => path.endsWith('.pyc'))).not.toEqual([]);
  rpm(root, '-e', 'rbdsr');
  expect(readdirSync(join(root.path, 'opt'))).toEqual([]);
});

/** As the stock storage manager loads a driver. */
const LOAD = `import sys
if sys.version_info[0] == 2:
    import imp
    imp.load_source('RBDSR', sys.argv[1])
else:
    from importlib.util import module_from_spec, spec_from_file_location
    spec = spec_from_file_location('RBDSR', sys.argv[1])
    spec.loader.exec_module(module_from_spec(spec))`;
