import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ended, SmallHost } from './small-product.ts';

/** Where the installed version records that it is enabled; the second is that of 0.1.0. */
const RECORDS = ['var/lib/rbdsr', 'opt/rbdsr/state'];

function recordIn(host: SmallHost, folder: string, version = '1.0.0'): void {
  mkdirSync(join(host.root, folder), { recursive: true });
  const record = { format: 1, product: version, state: 'enabled', entries: [] };
  writeFileSync(join(host.root, folder, 'changes.json'), JSON.stringify(record, undefined, 2));
}

describe('the self-extracting file', () => {
  test('installs, and does nothing but say how to enable', () => {
    using host = new SmallHost();
    const end = host.run(host.selfExtractor('1.0.0'));
    expect(end.stderr).toBe('');
    expect(end.stdout).toMatch(/^RBDSR 1\.0\.0 is installed in .*\nTo use it on this host: .*launcher\.sh enable\n$/);
    expect(host.answer()).toBe('Version : 1.0.0');
    expect(existsSync(join(host.root, 'asked'))).toBe(false);
    expect(readlinkSync(join(host.home, 'runtime'))).toBe('current/runtime');
    expect(readdirSync(host.root)).toEqual(['opt']);
  });

  test.each(RECORDS)(
    'replaces a version, keeps what enable keeps, and enables again where %s says it was',
    (folder) => {
      using host = new SmallHost();
      host.run(host.selfExtractor('1.0.0', { parts: ['only-in-1'] }));
      mkdirSync(join(host.home, 'stock'));
      recordIn(host, folder);
      writeFileSync(join(host.home, 'stock/LVMoISCSISR'), 'stock');
      const end = host.run(host.selfExtractor('2.0.0', { parts: ['only-in-2'] }));
      expect(end).toMatchObject({ code: 0, stderr: '' });
      expect(host.answer()).toBe('Version : 2.0.0');
      expect(readFileSync(join(host.root, 'asked'), 'utf8')).toBe('2.0.0 enable\n');
      expect(readFileSync(join(host.home, 'stock/LVMoISCSISR'), 'utf8')).toBe('stock');
      expect(host.folders().filter((name) => name !== 'state')).toEqual([
        expect.stringMatching(/^2\.0\.0-[0-9a-f]{8}$/),
        'stock',
      ]);
      expect(existsSync(join(host.root, folder, 'changes.json'))).toBe(true);
      expect(readdirSync(host.home)).toEqual(expect.arrayContaining(['only-in-2']));
      expect(readdirSync(host.home)).not.toContain('only-in-1');
    },
  );

  test('is safe to repeat', () => {
    using host = new SmallHost();
    const file = host.selfExtractor('1.0.0');
    for (let times = 0; times < 3; times += 1) expect(host.run(file).code).toBe(0);
    expect(host.answer()).toBe('Version : 1.0.0');
    expect(host.folders()).toHaveLength(1);
  });

  test('replaces a copy that was put there by hand', () => {
    using host = new SmallHost();
    mkdirSync(join(host.home, 'runtime'), { recursive: true });
    writeFileSync(join(host.home, 'runtime/node'), 'old');
    writeFileSync(join(host.home, 'sm.cjs'), 'old');
    expect(host.run(host.selfExtractor('1.0.0'))).toMatchObject({ code: 0, stderr: '' });
    expect(host.answer()).toBe('Version : 1.0.0');
    expect(host.folders()).toHaveLength(1);
  });

  test('enables with --enable, and says so in its exit code when that fails', () => {
    using host = new SmallHost();
    const file = host.selfExtractor('1.0.0');
    expect(host.run(file, '--enable').code).toBe(0);
    writeFileSync(join(host.root, 'refuses'), '');
    const end = host.run(file, '--enable');
    expect(end.code).toBe(1);
    expect(end.stderr).toContain('RBDSR 1.0.0 is installed, but it could not be enabled on this host');
    expect(host.answer()).toBe('Version : 1.0.0');
  });

  test('leaves the old version in place when the new one does not run here', () => {
    using host = new SmallHost();
    host.run(host.selfExtractor('1.0.0'));
    const end = host.run(host.selfExtractor('2.0.0', { answers: false }));
    expect(end.code).toBe(1);
    expect(end.stderr).toContain('does not run on this host, so nothing was changed. It said: Version : none');
    expect(host.answer()).toBe('Version : 1.0.0');
    expect(host.folders()).toHaveLength(1);
  });

  test.each(['installed', ...RECORDS])('refuses to replace a newer version, known by what is %s', (how) => {
    using host = new SmallHost();
    if (how === 'installed') host.run(host.selfExtractor('1.10.0'));
    else recordIn(host, how, '1.10.0');
    const before = host.answer();
    const end = host.run(host.selfExtractor('1.9.9'), '--enable');
    expect(end).toMatchObject({ code: 1, stdout: '' });
    expect(end.stderr).toBe(
      "rbdsr: this is version 1.9.9, and this host has the newer 1.10.0. Nothing was changed. Expected: 1.10.0 or later.\nTo go back to 1.9.9: unplug the PBDs of RBDSR's SRs on this host, rbdsr disable, remove RBDSR, and install 1.9.9.\n",
    );
    expect(host.answer()).toBe(before);
    for (const version of ['1.10.0', '1.10.1', '2.0.0']) {
      expect(host.run(host.selfExtractor(version)).stderr).toBe('');
      expect(host.answer()).toBe(`Version : ${version}`);
    }
  });

  test('keeps an old version that a process still uses, until a later installation', async () => {
    using host = new SmallHost();
    host.run(host.selfExtractor('1.0.0'));
    const old = join(host.home, readlinkSync(join(host.home, 'current')));
    copyFileSync('/bin/busybox', join(old, 'busybox'));
    chmodSync(join(old, 'busybox'), 0o755);
    const disk = spawn(join(old, 'busybox'), ['sleep', '300']);
    try {
      await once(disk, 'spawn');
      const end = host.run(host.selfExtractor('2.0.0'));
      expect(end.stdout).toContain(`${old} is still used by a running disk`);
      expect(host.answer()).toBe('Version : 2.0.0');
      expect(host.folders()).toHaveLength(2);
    } finally {
      disk.kill('SIGKILL');
      await once(disk, 'exit');
    }
    host.run(host.selfExtractor('2.0.0'));
    expect(host.folders()).toHaveLength(1);
  });

  test('a kill -9 before any command leaves the whole old version, or the whole new one', () => {
    using host = new SmallHost();
    // Of one version: an older one is refused.
    const versions = ['first', 'second'];
    const files = [
      host.selfExtractor('1.0.0', { build: 'first' }),
      host.selfExtractor('1.0.0', { build: 'second', parts: ['more'] }),
    ] as const;
    expect(host.run(files[0]).code).toBe(0);
    const seen: string[] = [];
    let killed = true;
    // What a killed installation left is where the next one starts; a step of 3 has the versions alternate in both
    // directions.
    for (let n = 1; killed && n < 1000; n += 3) {
      const file = seen.at(-1) === versions[1] ? files[0] : files[1];
      killed = host.runKilledAt(n, file) !== undefined;
      seen.push(host.answer('build'));
    }
    expect(killed).toBe(false);
    expect(seen.length).toBeGreaterThan(20);
    expect(seen.filter((answer) => !versions.includes(answer))).toEqual([]);
    expect(new Set(seen).size).toBe(2);
    expect(host.run(files[1])).toMatchObject({ code: 0, stderr: '' });
    expect(readdirSync(host.home).filter((name) => name.startsWith('.'))).toEqual([]);
    expect(host.folders()).toHaveLength(1);
  });

  test('a kill -9 during a first installation leaves a whole version, or none', () => {
    const seen = new Set<string>();
    let killed = true;
    for (let n = 1; killed && n < 1000; n += 11) {
      using host = new SmallHost();
      const file = host.selfExtractor('1.0.0');
      killed = host.runKilledAt(n, file) !== undefined;
      seen.add(host.answer());
      expect(host.run(file)).toMatchObject({ code: 0, stderr: '' });
      expect(host.answer()).toBe('Version : 1.0.0');
    }
    expect([...seen].sort()).toEqual(['Version : 1.0.0', 'nothing']);
  });

  test('waits for nobody, and refuses while another installation runs', async () => {
    using host = new SmallHost();
    const file = host.selfExtractor('1.0.0');
    const other = spawn('sh', ['-c', 'sleep 300', 'rbdsr-0.9.run']);
    try {
      await once(other, 'spawn');
      mkdirSync(host.home, { recursive: true });
      symlinkSync(String(other.pid), join(host.home, '.installing'));
      expect(host.run(file).stderr).toContain(`another installation runs, as process ${other.pid}`);
      expect(host.answer()).toBe('nothing');
    } finally {
      other.kill('SIGKILL');
      await once(other, 'exit');
    }
    expect(host.run(file).code).toBe(0);
    expect(host.answer()).toBe('Version : 1.0.0');
  });

  test('refuses a file that is damaged or cut short, and touches nothing', () => {
    using host = new SmallHost();
    const damaged = host.selfExtractor('1.0.0');
    const bytes = readFileSync(damaged);
    bytes[bytes.length - 40] = (bytes[bytes.length - 40] ?? 0) ^ 1;
    writeFileSync(damaged, bytes);
    expect(host.run(damaged).stderr).toMatch(/is damaged \(SHA-256 .*: copy it again/);
    const short = host.selfExtractor('2.0.0');
    truncateSync(short, readFileSync(short).length - 1);
    expect(host.run(short).stderr).toMatch(/has \d+ bytes instead of \d+: copy it again, as a binary file/);
    const long = host.selfExtractor('3.0.0');
    appendFileSync(long, '\n');
    expect(host.run(long).code).toBe(1);
    expect(readdirSync(host.root)).toEqual([]);
    expect(host.run(damaged, '--check').code).toBe(1);
    expect(host.run(host.selfExtractor('4.0.0'), '--check')).toMatchObject({ code: 0, stderr: '' });
  });

  test('finds damage without sha256sum too', () => {
    using host = new SmallHost();
    const file = host.selfExtractor('1.0.0');
    const script = readFileSync(file, 'latin1').replace('command -v sha256sum', 'command -v no-such-sum');
    // One byte more in the script: the product starts one later.
    const grown = script.replace(/^first=(\d+)$/m, (_, first: string) => `first=${Number(first) + 2}`);
    writeFileSync(file, grown, 'latin1');
    expect(host.run(file, '--check')).toMatchObject({ code: 0, stderr: '' });
    const bytes = readFileSync(file);
    bytes[bytes.length - 40] = (bytes[bytes.length - 40] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    expect(host.run(file, '--check').stderr).toMatch(/is damaged \(CRC /);
  });

  test('only root may install; anybody may unpack', () => {
    using host = new SmallHost();
    const file = host.selfExtractor('1.0.0');
    execFileSync('chmod', ['-R', 'a+rwX', host.folder]);
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'sh', file, '--root', host.root];
    expect(ended(nobody).stderr).toContain('only root can do this');
    expect(readdirSync(host.root)).toEqual([]);
    const target = join(host.folder, 'unpacked');
    expect(ended([...nobody, '--extract', target])).toMatchObject({ code: 0, stderr: '' });
    expect(readdirSync(target)).toEqual(['launcher.sh', 'runtime', 'sm.cjs']);
    expect(ended([...nobody, '--extract', target]).stderr).toContain('is not empty');
  });

  test.each([
    ['that df knows of', 'nr_inodes=1000', 'size=1m', /has room for \d+ KiB; RBDSR needs \d+ KiB/],
    // A tmpfs for no more files than that: like a disk that fills up while it is written.
    ['while it is written', 'nr_inodes=15', 'size=64m', /the product cannot be unpacked/],
  ])('a full disk, %s, leaves what was there', (_when, atFirst, then, says) => {
    using host = new SmallHost();
    const [first, second] = [host.selfExtractor('1.0.0'), host.selfExtractor('2.0.0')];
    const script = `set -e
mkdir -p ${host.root}/opt
mount -t tmpfs -o size=64m,${atFirst} tmpfs ${host.root}/opt
sh ${first} --root ${host.root} >/dev/null
mount -o remount,${then} ${host.root}/opt
sh ${second} --root ${host.root} >&2 && exit 9
RBDSR_HOME=${host.home} ${host.home}/launcher.sh version
ls -A ${host.home} | grep '^[.0-9]'`;
    const end = ended(['unshare', '-m', 'sh', '-c', script]);
    expect(end.stderr).toMatch(says);
    expect(end.stdout).toMatch(/^Version : 1\.0\.0\n1\.0\.0-[0-9a-f]{8}\n$/);
  });

  test.each([
    ['installing', 'nothing', []],
    ['installing', '1.0.0', []],
    ['removing', '1.0.0', ['--remove']],
  ])('%s on a read-only root, with %s installed, says so and leaves what was there', (_what, installed, args) => {
    using host = new SmallHost();
    const [first, second] = [host.selfExtractor('1.0.0'), host.selfExtractor('2.0.0')];
    if (installed !== 'nothing') host.run(first);
    const before = host.answer();
    const script =
      'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; root=$1; file=$2; shift 2; sh "$file" --root "$root" "$@"';
    const end = ended(['unshare', '-m', 'sh', '-c', script, 'sh', host.root, second, ...args]);
    expect(end).toMatchObject({ code: 1, stdout: '' });
    expect(end.stderr).toMatch(
      /^rbdsr installer: .* cannot be made; expected a file system that can be written\. Is it read-only \(dmesg\) or full \(df\)\? Nothing was changed; .*\n$/,
    );
    expect(host.answer()).toBe(before);
  });

  test.each(RECORDS)('removes, after it was disabled where %s says that it is enabled, or not at all', (folder) => {
    using host = new SmallHost();
    const file = host.selfExtractor('1.0.0');
    expect(host.run(file, '--remove').stdout).toContain('RBDSR is not installed');
    host.run(file);
    recordIn(host, folder);
    writeFileSync(join(host.root, 'refuses'), '');
    const refused = host.run(file, '--remove');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('could not be disabled on this host, so it stays');
    expect(host.answer()).toBe('Version : 1.0.0');
    execFileSync('rm', [join(host.root, 'refuses')]);
    expect(host.run(file, '--remove', '--force').code).toBe(0);
    expect(readFileSync(join(host.root, 'asked'), 'utf8')).toBe('1.0.0 disable\n1.0.0 disable --force\n');
    expect(existsSync(host.home)).toBe(false);
  });

  test.each([
    ['/opt/xensource/sm/LVMoISCSISR', '/opt/rbdsr/divert.py'],
    ['/opt/xensource/sm/LVMoISCSISR', 'rbdsr-divert.py'],
    ['/opt/xensource/sm/RBDSR', '../../rbdsr/launcher.sh'],
    ['/usr/libexec/sm/drivers/LVMoISCSISR', '/opt/rbdsr/divert.py'],
  ])('is not removed while %s leads to %s, even by force', (entry, target) => {
    using host = new SmallHost();
    const file = host.selfExtractor('1.0.0');
    host.run(file);
    mkdirSync(dirname(join(host.root, entry)), { recursive: true });
    symlinkSync(target, join(host.root, entry));
    symlinkSync('/opt/xensource/sm/EXTSR.py', join(host.root, dirname(entry), 'EXTSR'));
    for (const force of [[], ['--force']]) {
      const refused = host.run(file, '--remove', ...force);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain(`\n${entry} -> ${target}\n`);
      expect(refused.stderr).not.toContain('EXTSR');
      expect(host.answer()).toBe('Version : 1.0.0');
    }
    unlinkSync(join(host.root, entry));
    expect(host.run(file, '--remove').code).toBe(0);
    expect(existsSync(host.home)).toBe(false);
  });

  test('tells what it is, and how it is used', () => {
    using host = new SmallHost();
    const file = host.selfExtractor('1.0.0');
    expect(host.run(file, '--version').stdout).toBe('Version : 1.0.0\n');
    expect(host.run(file, '--help').stdout).toContain('--enable');
    expect(host.run(file, '--nonsense')).toMatchObject({ code: 2, stdout: '' });
  });

  test.each([
    ['--root'],
    ['--root', ''],
    ['--root', '--remove'],
    ['--remove', '--root'],
    ['--extract'],
    ['--extract', '--root', '/nowhere'],
    ['--force'],
    ['--force', '--enable'],
    ['--check', '--force'],
  ])('does nothing when it is called with %s', (...args) => {
    using host = new SmallHost();
    const end = host.run(host.selfExtractor('1.0.0'), ...args);
    expect(end).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('sh ') });
    expect(readdirSync(host.root)).toEqual([]);
  });
});
