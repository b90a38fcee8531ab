import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmptyRoot } from './empty-root.ts';
import { ended } from './small-product.ts';

const PROJECT = join(import.meta.dirname, '../../..');
const { version } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { version: string };
const RUN = `rbdsr-${version}.run`;
const RPM = `rbdsr-${version}-1.x86_64.rpm`;
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
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

describe('what is published', () => {
  test('is a self-extracting file, an RPM and the licences, with a checksum each', () => {
    expect(readdirSync(made).sort()).toEqual(['SHA256SUMS', LICENCES, RPM, RUN].sort());
    const checked = execFileSync('sha256sum', ['-c', 'SHA256SUMS'], { cwd: made, encoding: 'utf8' });
    expect(checked.trim().split('\n')).toHaveLength(3);
  });

  test('takes less than 40 MB to download and 130 MB installed', () => {
    for (const name of [RUN, RPM]) expect(lstatSync(join(made, name)).size).toBeLessThan(40_000_000);
    const [used] = execFileSync('du', ['-s', '--block-size=1', product], { encoding: 'utf8' }).split('\t');
    expect(Number(used)).toBeLessThan(130_000_000);
  });

  test('is the same to the byte when it is built in another folder, from nothing kept', () => {
    const other = mkdtempSync(join(PROJECT, 'build/another-checkout-'));
    try {
      const epoch = execFileSync('git', ['-c', `safe.directory=${PROJECT}`, 'log', '-1', '--format=%ct'], {
        cwd: PROJECT,
        encoding: 'utf8',
      });
      for (const part of ['src', 'scripts', 'packaging', 'package.json', 'package-lock.json', 'LICENSE']) {
        cpSync(join(PROJECT, part), join(other, part), { recursive: true });
      }
      mkdirSync(join(other, 'lab'));
      copyFileSync(join(PROJECT, 'lab/packages.txt'), join(other, 'lab/packages.txt'));
      execFileSync('cp', ['-al', join(PROJECT, 'node_modules'), join(other, 'node_modules')]);
      rmSync(join(other, 'node_modules/.cache'), { recursive: true });
      execFileSync(process.execPath, [join(other, 'scripts/package.mjs'), join(folder, 'again')], {
        env: { ...process.env, SOURCE_DATE_EPOCH: epoch.trim(), TZ: 'Pacific/Auckland', LANG: 'C.UTF-8' },
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
    const script = `const koffi = require('/opt/rbdsr/node_modules/koffi');
      const getpid = koffi.load('libc.so.6').func('int getpid()');
      const { spawnSync } = require('node:child_process');
      const lib = require('node:path').dirname(process.execPath);
      const child = spawnSync(process.execPath, ['--library-path', lib, lib + '/../bin/node', '-p', '6 * 7']);
      console.log(getpid() === process.pid, typeof require('/opt/rbdsr/node_modules/ssh2').Client, String(child.stdout).trim());`;
    expect(root.run(...node('/opt/rbdsr'), '-e', script)).toMatchObject({
      code: 0,
      stdout: 'true function 42\n',
      stderr: '',
    });
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
    const pipe = require('node:child_process').spawn('/bin/cat', [process.argv[1]]);
    let text = ''; pipe.stdout.on('data', (chunk) => (text += chunk));
    pipe.on('close', async () => console.log(text === await fs.promises.readFile('/etc/passwd', 'utf8'), randomBytes(8).length,
      typeof require('${product}/node_modules/koffi').load));`;
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

  test('installs into an empty root, where the product answers', () => {
    using root = new EmptyRoot();
    rpm('--root', root.path, '-ivh', '--nodeps', join(made, RPM));
    expect(root.run('/opt/rbdsr/launcher.sh', 'version').stdout).toBe(`Version : ${version}\n`);
    expect(rpm('--root', root.path, '-V', '--nodeps', 'rbdsr')).toBe('');
    rpm('--root', root.path, '-e', 'rbdsr');
    expect(readdirSync(join(root.path, 'opt'))).toEqual([]);
  });
});
