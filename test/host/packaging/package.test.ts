import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmptyRoot } from './empty-root.ts';
import { ended } from './small-product.ts';

const PROJECT = join(import.meta.dirname, '../../..');
const { version } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { version: string };
const RUN = `rbdsr-${version}.run`;
const RELEASE = '7';
const RPM = `rbdsr-${version}-${RELEASE}.x86_64.rpm`;
const SOURCE_RPM = `rbdsr-${version}-${RELEASE}.src.rpm`;
const URL = 'https://rbdsr.example/';
const LICENCES = `rbdsr-${version}-licences.txt`;

const folder = mkdtempSync(join(tmpdir(), 'rbdsr-package-'));
const made = join(folder, 'made');
const product = join(folder, 'product');

beforeAll(() => {
  buildIn(PROJECT, made);
  execFileSync('sh', [join(made, RUN), '--extract', product]);
}, 300_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function buildIn(project: string, target: string): void {
  execFileSync(process.execPath, [join(project, 'scripts/package.mjs'), target], {
    env: { ...process.env, RBDSR_RELEASE: RELEASE, RBDSR_URL: URL },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** When the sources were committed. */
function epoch(): string {
  const git = ['-c', `safe.directory=${PROJECT}`, 'log', '-1', '--format=%ct'];
  return execFileSync('git', git, { cwd: PROJECT, encoding: 'utf8' }).trim();
}

describe('what is published', () => {
  test('is a self-extracting file, an RPM, its source package and the licences, with a checksum each', () => {
    expect(readdirSync(made).sort()).toEqual(['SHA256SUMS', LICENCES, RPM, SOURCE_RPM, RUN].sort());
    const checked = execFileSync('sha256sum', ['-c', 'SHA256SUMS'], { cwd: made, encoding: 'utf8' });
    expect(checked.trim().split('\n')).toHaveLength(4);
  });

  test('takes less than 40 MB to download and 130 MB installed', () => {
    for (const name of [RUN, RPM]) expect(lstatSync(join(made, name)).size).toBeLessThan(40_000_000);
    const [used] = execFileSync('du', ['-s', '--block-size=1', product], { encoding: 'utf8' }).split('\t');
    expect(Number(used)).toBeLessThan(130_000_000);
  });

  test('is the same to the byte when it is built in another folder, from nothing kept', () => {
    const other = mkdtempSync(join(PROJECT, 'build/another-checkout-'));
    try {
      const files = ['package.json', 'package-lock.json', 'tsconfig.json', 'LICENSE', 'CHANGELOG.md', 'README.md'];
      for (const part of ['src', 'scripts', 'packaging', 'docs', ...files]) {
        cpSync(join(PROJECT, part), join(other, part), { recursive: true });
      }
      mkdirSync(join(other, 'lab'));
      copyFileSync(join(PROJECT, 'lab/packages.txt'), join(other, 'lab/packages.txt'));
      execFileSync('cp', ['-al', join(PROJECT, 'node_modules'), join(other, 'node_modules')]);
      rmSync(join(other, 'node_modules/.cache'), { recursive: true });
      execFileSync(process.execPath, [join(other, 'scripts/package.mjs'), join(folder, 'again')], {
        env: {
          ...process.env,
          SOURCE_DATE_EPOCH: epoch(),
          RBDSR_RELEASE: RELEASE,
          RBDSR_URL: URL,
          TZ: 'Pacific/Auckland',
          LANG: 'C.UTF-8',
        },
        stdio: ['ignore', 'ignore', 'inherit'],
      });
    } finally {
      rmSync(other, { recursive: true, force: true });
    }
    for (const name of readdirSync(made)) {
      expect(readFileSync(join(folder, 'again', name)).equals(readFileSync(join(made, name))), name).toBe(true);
    }
  });

  test('names the licence of everything inside', () => {
    const text = readFileSync(join(made, LICENCES), 'utf8');
    expect(readFileSync(join(product, 'licences.txt'), 'utf8')).toBe(text);
    const libraries = readdirSync(join(product, 'runtime/lib'));
    const modules = readdirSync(join(product, 'node_modules'));
    const bundled = ['commander', 'saxes', 'xmlchars', 'asn1', 'bcrypt-pbkdf', 'safer-buffer', 'tweetnacl', 'Node.js'];
    for (const name of [...libraries, ...modules, ...bundled]) expect(text).toContain(name);
    for (const words of ['GNU LESSER GENERAL PUBLIC LICENSE', 'GCC RUNTIME LIBRARY EXCEPTION', 'The ISC License']) {
      expect(text).toContain(words);
    }
    expect(text).toContain('Debian package, source glibc ');
  });
});

describe('the product, in a root that has nothing but a shell', () => {
  const root = new EmptyRoot();
  afterAll(() => root[Symbol.dispose]());
  const launcher = '/opt/rbdsr/launcher.sh';

  beforeAll(() => {
    copyFileSync(join(made, RUN), join(root.path, 'tmp', RUN));
    expect(root.run('/bin/sh', `/tmp/${RUN}`)).toMatchObject({ code: 0, stderr: '' });
    const disks = join(PROJECT, 'test/fixtures/vhd/vhd.tar.xz');
    execFileSync('tar', ['-xJf', disks, '-C', root.path]);
  }, 60_000);

  test('answers the operator as the checkout does', () => {
    const vhd = readdirSync(root.path, { recursive: true, encoding: 'utf8' }).find((name) =>
      name.endsWith('empty.vhd'),
    );
    for (const args of [['version'], ['vhd', 'info', `${vhd}`], ['vhd', 'check', `${vhd}`], ['--help']]) {
      const there = root.run(launcher, ...args);
      expect(there).toMatchObject({ code: 0, stderr: '' });
      expect(there.stdout).toBe(
        execFileSync(process.execPath, [join(PROJECT, 'build/dom0/cli.cjs'), ...args], {
          cwd: root.path,
          encoding: 'utf8',
        }),
      );
    }
  });

  test.each([
    ['sr_get_driver_info', ''],
    ['sr_probe', '<member><name>device_config</name><value><struct/></value></member>'],
    ['sr_no_such_command', ''],
  ])('answers xapi as the checkout does: %s', (command, members) => {
    const args = '<member><name>args</name><value><array><data/></array></value></member>';
    const call = `<member><name>command</name><value>${command}</value></member>${args}${members}`;
    const request = `<methodCall><methodName>${command}</methodName><params><param><value><struct>${call}</struct></value></param></params></methodCall>`;
    const there = root.run(launcher, request);
    expect(there.stderr).toBe('');
    expect(there.stdout).toContain(
      command === 'sr_get_driver_info' ? '<string>RBD</string>' : '<name>faultCode</name>',
    );
    const here = ended([process.execPath, join(PROJECT, 'build/dom0/sm.cjs'), request], { RBDSR_ROOT: root.path });
    expect(there.stdout).toBe(here.stdout);
  });

  test('its native module and its SSH library load, and another node is started as this one was', () => {
    const script = `const native = { exports: {} };
      process.dlopen(native, '/opt/rbdsr/system-call.node');
      const GETPID = 39;
      const { spawnSync } = require('node:child_process');
      const lib = require('node:path').dirname(process.execPath);
      const child = spawnSync(process.execPath, ['--library-path', lib, lib + '/../bin/node', '-p', '6 * 7']);
      console.log(native.exports.call(GETPID) === process.pid, typeof require('/opt/rbdsr/node_modules/ssh2').Client, String(child.stdout).trim());`;
    expect(root.run(...node('/opt/rbdsr'), '-e', script)).toMatchObject({
      code: 0,
      stdout: 'true function 42\n',
      stderr: '',
    });
  });

  test('its native module asks no newer C library for anything than node itself does', () => {
    const newest = (file: string): string => {
      const symbols = execFileSync('objdump', ['-T', join(product, file)], { encoding: 'utf8', maxBuffer: 2 ** 26 });
      const versions = [...symbols.matchAll(/\(?GLIBC_([0-9.]+)\)?/g)].map(([, version = '']) => version);
      return versions.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1) ?? 'none';
    };
    expect([newest('system-call.node'), newest('runtime/bin/node')]).toEqual(['2.2.5', '2.28']);
  });

  test('no language of the environment troubles the node without the data of other languages', () => {
    const script = `console.log('a'.localeCompare('b'), 'é'.normalize('NFD').length, /\\p{L}/u.test('Ж'), new Intl.Collator('sv').compare('a', 'b'),
      new TextDecoder('latin1').decode(Buffer.from([0xe9])), new Date(0).toLocaleString('de', { timeZone: 'UTC' }) !== '')`;
    const end = root.run('/bin/env', 'LANG=de_DE.UTF-8', 'LC_ALL=ja_JP.UTF-8', ...node('/opt/rbdsr'), '-e', script);
    expect(end).toMatchObject({ code: 0, stdout: '-1 2 true -1 é true\n', stderr: '' });
  });
});

/**
 * A newer kernel with fewer system calls is not an old kernel, but tells what the runtime does without. For random
 * bytes it must look like one besides: OpenSSL reads /dev/urandom only where the kernel says it is older than 4.8.
 */
test.each([
  ['3.10', '313', ['setarch', '--uname-2.6']],
  ['4.4', '325', []],
  ['4.19', '334', []],
])('the product answers with no more system calls than Linux %s has', (_kernel, newest, [program, ...args]) => {
  const oldKernel = ['python3', join(import.meta.dirname, 'old-kernel.py'), newest];
  const disguise = program === undefined ? [] : [`/usr/bin/${program}`, ...args];
  const script = `const fs = require('node:fs'); const { randomBytes } = require('node:crypto');
    fs.copyFileSync('/etc/passwd', process.argv[1]);
    const native = { exports: {} };
    const pipe = require('node:child_process').spawn('/bin/cat', [process.argv[1]]);
    let text = ''; pipe.stdout.on('data', (chunk) => (text += chunk));
    pipe.on('close', async () => console.log(text === await fs.promises.readFile('/etc/passwd', 'utf8'), randomBytes(8).length,
      (process.dlopen(native, '${product}/system-call.node'), typeof native.exports.call)));`;
  const end = ended([...oldKernel, ...disguise, ...node(product), '-e', script, join(folder, `copy-${newest}`)]);
  expect(end).toMatchObject({ code: 0, stdout: 'true 8 function\n', stderr: '' });
  const asked = [...oldKernel, ...disguise, '/bin/sh', join(product, 'launcher.sh'), 'version'];
  expect(ended(asked, { RBDSR_HOME: product }).stdout).toBe(`Version : ${version}\n`);
});

function node(home: string): readonly string[] {
  const lib = `${home}/runtime/lib`;
  return [`${lib}/ld-linux-x86-64.so.2`, '--library-path', lib, `${home}/runtime/bin/node`];
}

describe('the RPM', () => {
  // Debian's rpm warns on stderr that it is not how Debian installs packages.
  const rpm = (...args: string[]): string => execFileSync('rpm', args, { encoding: 'utf8', stdio: 'pipe' });

  test('asks for nothing that rpm 4.4 or a bare host has not', () => {
    const required = rpm('-qp', '--requires', join(made, RPM)).trim().split('\n');
    expect([...new Set(required)]).toEqual([
      '/bin/sh',
      'rpmlib(CompressedFileNames) <= 3.0.4-1',
      'rpmlib(PayloadFilesHavePrefix) <= 4.0-1',
    ]);
    // File digests of 32 digits are MD5; rpm 4.4 checks the whole by MD5 and SHA-1 too.
    const format = '%{PAYLOADFORMAT} %{PAYLOADCOMPRESSOR} %{FILEDIGESTALGO}\\n[%{FILEMD5S}\\n]';
    const [head, ...digests] = rpm('-qp', '--qf', format, join(made, RPM)).trim().split('\n');
    expect(head).toBe('cpio gzip (none)');
    expect(digests.filter((digest) => digest !== '' && !/^[0-9a-f]{32}$/.test(digest))).toEqual([]);
    expect(rpm('-qp', '--qf', '%{SIGMD5} %{SHA1HEADER}', join(made, RPM))).toMatch(/^[0-9a-f]{32} [0-9a-f]{40}$/);
  });

  test('holds what the self-extracting file installs, and unpacks a version before it points to it', () => {
    const files = rpm('-qpl', join(made, RPM)).trim().split('\n');
    const current = files.indexOf('/opt/rbdsr/current');
    const target = rpm('-qp', '--qf', '[%{FILENAMES} %{FILELINKTOS}\\n]', join(made, RPM)).match(
      /\/current (\S+)/,
    )?.[1];
    const ofVersion = files.filter((path) => path.startsWith(`/opt/rbdsr/${target}/`));
    expect(ofVersion.map((path) => path.slice(`/opt/rbdsr/${target}/`.length)).sort()).toEqual(
      readdirSync(product, { recursive: true, encoding: 'utf8' }).sort(),
    );
    expect(files.lastIndexOf(ofVersion.at(-1) ?? '')).toBeLessThan(current);
  });

  test('can be made again of its source package alone, without a network, a node or a checkout, the same in all it holds', () => {
    const work = join(folder, 'rebuilt');
    const settings = {
      _topdir: work,
      _buildhost: 'rbdsr',
      use_source_date_epoch_as_buildtime: '1',
      clamp_mtime_to_source_date_epoch: '1',
    };
    const defines = Object.entries(settings).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
    const argv = ['--rebuild', '--quiet', '--target', 'x86_64-linux', ...defines, join(made, SOURCE_RPM)];
    const hidden = `mount -t tmpfs tmpfs ${PROJECT}
mount --bind /bin/false ${realpathSync(process.execPath)}
exec rpmbuild "$@"`;
    const end = ended(['unshare', '-m', '-n', 'sh', '-ec', hidden, 'sh', ...argv], {
      HOME: folder,
      SOURCE_DATE_EPOCH: epoch(),
    });
    expect(end, end.stderr.slice(-2000)).toMatchObject({ code: 0 });
    const again = join(work, 'RPMS/x86_64', RPM);
    // Every byte but rpm's note of which build made it (RPMTAG_COOKIE), which `rpmbuild -bb` does not leave.
    for (const query of [
      ['--qf', '%{PAYLOADDIGEST}'],
      ['-i'],
      ['--scripts'],
      ['--provides'],
      ['--requires'],
      ['--changelog'],
    ]) {
      expect(rpm('-qp', ...query, again)).toBe(rpm('-qp', ...query, join(made, RPM)));
    }
  }, 300_000);

  test('says what it is, what is in it, and what has changed', () => {
    const tag = (name: string): string => rpm('-qp', '--qf', `%{${name}}`, join(made, RPM));
    expect(tag('URL')).toBe(URL);
    expect(tag('VENDOR')).toBe('RBDSR');
    expect(tag('RELEASE')).toBe(RELEASE);
    // An SPDX expression (https://spdx.org/licenses/): names, joined by AND, WITH where there is an exception.
    const name = String.raw`[A-Z][A-Za-z0-9.-]+( WITH [A-Z][A-Za-z0-9.-]+)?`;
    expect(tag('LICENSE')).toMatch(new RegExp(`^${name}( AND ${name})*$`));
    expect(tag('LICENSE')).toMatch(/^LGPL-2\.1-only AND .*GPL-3\.0-or-later WITH GCC-exception-3\.1$/);
    const provided = rpm('-qp', '--provides', join(made, RPM)).split('\n');
    const names = ['nodejs', 'npm(ssh2)', 'npm(saxes)', 'npm(commander)', 'glibc', 'libgcc', 'libstdc++'];
    for (const part of names) expect(provided).toContainEqual(expect.stringContaining(`bundled(${part}) = `));
    const modules = provided.flatMap((line) => /^bundled\(npm\((.*)\)\)/.exec(line)?.[1] ?? []);
    const lock = JSON.parse(readFileSync(join(PROJECT, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { dev?: true; optional?: true }>;
    };
    const shipped = Object.entries(lock.packages).filter(([path, o]) => path !== '' && !o.dev && !o.optional);
    expect(modules.sort()).toEqual(shipped.map(([path]) => path.replace('node_modules/', '')).sort());
    const changes = rpm('-qp', '--changelog', join(made, RPM));
    expect(changes).toMatch(new RegExp(`^\\* .* RBDSR maintainers - ${version}-${RELEASE}\n- `));
    expect(changes).toContain('\n* Tue Nov 24 2026 RBDSR maintainers - 0.1.0\nFirst version');
  });

  test('installs into an empty root, where the product answers', () => {
    using root = new EmptyRoot();
    rpm('--root', root.path, '-ivh', '--nodeps', join(made, RPM));
    expect(root.run('/opt/rbdsr/launcher.sh', 'version').stdout).toBe(`Version : ${version}\n`);
    expect(rpm('--root', root.path, '-V', '--nodeps', 'rbdsr')).toBe('');
    rpm('--root', root.path, '-e', 'rbdsr');
    expect(readdirSync(join(root.path, 'opt'))).toEqual([]);
  });
});
