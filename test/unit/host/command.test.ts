import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';
import { HOST_VERSIONS } from '../../../lab/host-trees/host-versions.ts';
import { type HostFixture, startProcess, useHosts } from './host-fixture.ts';
import { recordedSystemd } from '../../../lab/hosts/recorded-systemd.ts';
import { Writable } from 'node:stream';

const hosts = useHosts();
const SHIMS = join(import.meta.dirname, '../../../packaging/shims');

let host: HostFixture;
beforeEach(() => {
  host = hosts.make('8.3b');
});

async function rbdsr(...argv: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const texts = { stdout: '', stderr: '' };
  const into = (name: 'stdout' | 'stderr'): Writable =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        texts[name] += chunk.toString();
        done();
      },
    });
  const surroundings = {
    versionLine: 'Version : 1.0.0',
    root: host.root,
    stdout: into('stdout'),
    stderr: into('stderr'),
  };
  const code = await runCli(argv, surroundings);
  return { code, ...texts };
}

/** A program of the host that writes down how it was called. */
function recorder(path: string, answer = ''): () => string {
  host.write(path, `#!/bin/sh\necho "$*" >>${host.at('/calls')}\n${answer}`, 0o755);
  host.write('/calls', '');
  return () => host.read('/calls');
}

/** systemctl or udevadm, as it was recorded in these states. */
function recorded(path: string, ...states: readonly string[]): () => string {
  host.write(path, recordedSystemd(path, { states, log: '/calls' }), 0o755);
  host.write('/calls', '');
  return () => host.read('/calls');
}

test('check before enable, after it, after a drift: table and exit code', async () => {
  const before = await rbdsr('check');
  expect(before.code).toBe(1);
  expect(before.stdout).toMatch(
    /^RBDSR: +1\.0\.0\nhost: +XCP-ng 8\.3 since sm 3\.2\.12-17 \(8\.3\.0\)\ntaken for: +8\.3b\n/,
  );
  expect(before.stdout).toMatch(/^state +MISSING +RBDSR is not enabled here +rbdsr enable$/m);
  expect(before.stdout).toMatch(/Not all is well\.\n$/);

  const enabled = await rbdsr('enable');
  expect(enabled).toMatchObject({ code: 0, stderr: '' });
  expect(enabled.stdout).toMatch(/^RBDSR 1\.0\.0 is enabled on this host\. Written or taken away:\n {2}\/etc/);
  expect(enabled.stdout).toMatch(/Restart the toolstack on this host now: xe-toolstack-restart\n {2}xapi looks for/);

  const after = await rbdsr('check');
  expect(after.stdout).toMatch(
    /^divert +ok +\/opt\/xensource\/sm\/rbdsr-stock\/LVMoISCSISR -> \.\.\/LVMoISCSISR\.py$/m,
  );
  expect(after).toMatchObject({ code: 0, stdout: expect.stringMatching(/All is well\.\n$/) });
  expect(await rbdsr('enable')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('everything was as it should be'),
  });

  host.write('/etc/udev/rules.d/59-rbdsr.rules', '# edited\n');
  const drifted = await rbdsr('check');
  expect(drifted.code).toBe(1);
  expect(drifted.stdout).toMatch(
    /^udev +CHANGED +\/etc\/udev\/rules\.d\/59-rbdsr\.rules is a file \(.*\), not what RBDSR put there +rbdsr repair$/m,
  );
  const json = await rbdsr('check', '--json');
  expect(json.code).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({
    version: '1.0.0',
    profile: '8.3b',
    well: false,
    findings: expect.arrayContaining([
      expect.objectContaining({ part: 'udev', state: 'changed', todo: 'rbdsr repair' }),
    ]),
  });
  expect(await rbdsr('repair')).toMatchObject({ code: 0, stdout: expect.stringContaining('59-rbdsr.rules') });
  expect(await rbdsr('repair')).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('check names the unit that notices host updates where it does not run', async () => {
  recorded('/usr/bin/systemctl', 'running');
  await rbdsr('enable');
  expect(await rbdsr('check')).toMatchObject({ code: 0 });
  for (const [state, word] of [
    ['watch failed', 'failed'],
    ['watch ended', 'inactive'],
  ] as const) {
    const calls = recorded('/usr/bin/systemctl', state);
    const { code, stdout } = await rbdsr('check');
    expect(code).toBe(1);
    const line = String.raw`^services +CHANGED +rbdsr-repair\.path does not run \(${word}\).*systemctl start rbdsr-repair\.path$`;
    expect(stdout).toMatch(new RegExp(line, 'm'));
    expect(calls()).toBe('is-active rbdsr-repair.path\n');
  }
});

test('disable says what it has left', async () => {
  await rbdsr('enable');
  host.write('/etc/modules-load.d/rbdsr.conf', 'own\n');
  const left = await rbdsr('disable');
  expect(left.code).toBe(0);
  expect(left.stdout).toMatch(
    / \/etc\/modules-load\.d\/rbdsr\.conf: it is a file \(.*\) now, which RBDSR did not put there; before RBDSR it was nothing$/m,
  );
  expect(await rbdsr('disable')).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing to undo') });
});

test('no dom0, and a version that is not known, are errors in a sentence', async () => {
  host.remove('/etc/xensource-inventory');
  expect(await rbdsr('enable')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('expected dom0 of a XenServer or XCP-ng host'),
  });
  host.write(
    '/etc/xensource-inventory',
    "PRODUCT_VERSION='6.2.0'\nINSTALLATION_UUID='9c1e54b4-52c1-4f5c-8f0e-6a3a7b1c2d3e'\n",
  );
  expect(await rbdsr('check')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('this host version is not supported'),
  });
});

test('services are told: once after enable, once after disable', async () => {
  const calls = recorded('/usr/bin/systemctl', 'running');
  await rbdsr('enable');
  expect(calls()).toBe('daemon-reload\nstart --no-block rbdsr-release.service rbdsr-repair.path\n');
  await rbdsr('enable');
  expect(calls()).toBe('daemon-reload\nstart --no-block rbdsr-release.service rbdsr-repair.path\n');
  host.write('/calls', '');
  await rbdsr('disable');
  expect(calls()).toBe('stop --no-block rbdsr-repair.path rbdsr-release.service\ndaemon-reload\n');
});

test.each([
  ['no udevd', 'No such file or directory'],
  ['udevd was killed', 'Connection refused'],
])('a service that does not do as it is told (%s) undoes nothing, and is named', async (state, text) => {
  const calls = recorded('/sbin/udevadm', state);
  const enabled = await rbdsr('enable');
  expect(enabled.code).toBe(1);
  expect(enabled.stderr).toMatch(
    new RegExp(`udevadm control --reload" failed with exit code 1 \\(Failed to send reload request: ${text}`),
  );
  expect(calls()).toBe('control --reload\n');
  expect(await rbdsr('check')).toMatchObject({ code: 0 });
});

test('multipathd is told only where its configuration was written, and it runs', async () => {
  const calls = recorder('/sbin/multipathd');
  // 8.3 keeps multipathd away by itself.
  startProcess(host, 100, 'multipathd', 60);
  expect(await rbdsr('enable')).toMatchObject({ code: 0, stderr: '' });
  expect(await rbdsr('disable')).toMatchObject({ code: 0, stderr: '' });
  expect(calls()).toBe('');

  host = hosts.make('7.x');
  const called = recorder('/sbin/multipathd');
  startProcess(host, 100, 'multipath', 60);
  expect(await rbdsr('enable')).toMatchObject({ code: 0, stderr: '' });
  expect(await rbdsr('disable')).toMatchObject({ code: 0, stderr: '' });
  expect(called()).toBe('');
  startProcess(host, 100, 'multipathd', 60);
  await rbdsr('enable');
  expect(called()).toBe('-kreconfigure\n');
  await rbdsr('enable');
  expect(called()).toBe('-kreconfigure\n');
  await rbdsr('disable');
  expect(called()).toBe('-kreconfigure\n-kreconfigure\n');
});

test('release-images does nothing unless the host is shutting down', async () => {
  expect(await rbdsr('release-images')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('not shutting down'),
  });
  recorded('/usr/bin/systemctl', 'running');
  expect(await rbdsr('release-images')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('not shutting down'),
  });
  const calls = recorded('/usr/bin/systemctl', 'stopping');
  expect(await rbdsr('release-images')).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(new Set(calls().trim().split('\n'))).toEqual(new Set(['is-system-running']));
  host = hosts.make('6.5');
  recorder('/sbin/runlevel', 'echo 3 6\n');
  expect(await rbdsr('release-images')).toEqual({ code: 0, stdout: '', stderr: '' });
});

test.each(HOST_VERSIONS)('%s: doctor, check --pool and disable work without xapi', async (version) => {
  host = hosts.make(version);
  await rbdsr('enable');
  expect(await rbdsr('doctor')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Which SRs there are is not known'),
  });
  expect(await rbdsr('check', '--pool')).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^divert +ok/m),
    stderr: expect.stringContaining('the other hosts of the pool could not be asked'),
  });
  expect(await rbdsr('disable')).toMatchObject({ code: 0, stderr: '' });
});

const PYTHONS = ['python2.7', 'python3.6', 'python3'].filter((python) => spawnSync(python, ['-V']).status === 0);

test.each(['/bin/sh', ...PYTHONS])('%s runs the commands of the older plug-in', (interpreter) => {
  host.write('/home/launcher.sh', '#!/bin/sh\necho "$*"\n', 0o755);
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', RBDSR_HOME: host.at('/home') };
  const say = (file: string, ...argv: readonly string[]): string =>
    execFileSync(interpreter, [file, ...argv], { env, encoding: 'utf8' });
  const shim = (name: string): string => join(SHIMS, name);
  expect(say(shim('install_rbdsr.py'), 'enable')).toBe('enable\n');
  expect(say(shim('uninstall_rbdsr.py'), 'enable', '--force')).toBe('disable --force\n');
  expect(say(shim('uninstall_rbdsr.py'), 'check')).toBe('check\n');
  for (const name of ['install_rbdsr.py', 'uninstall_rbdsr.py']) {
    const wrong = spawnSync(interpreter, [shim(name), '--help'], { env, encoding: 'utf8' });
    expect(wrong).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining('Usage: ') });
  }
  mkdirSync(host.at('/sm'));
  mkdirSync(host.at('/shims'));
  copyFileSync(shim('RBDSR.py'), host.at('/shims/RBDSR.py'));
  symlinkSync('../shims/RBDSR.py', host.at('/sm/RBDSR.py'));
  expect(say(host.at('/sm/RBDSR.py'), 'version')).toBe('version\n');
  if (interpreter !== '/bin/sh') {
    const imported = execFileSync(interpreter, ['-c', 'import RBDSR'], { env, cwd: host.at('/sm'), encoding: 'utf8' });
    expect(imported).toBe('');
  }
});
