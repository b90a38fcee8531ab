import { Writable } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import { stringOf } from '../../../lab/xapi-double/database.ts';
import type { XapiDouble } from '../../../lab/xapi-double/double.ts';
import type { HostPort } from '../../../lab/xapi-double/host-port.ts';
import { startXapiDouble } from '../../../lab/xapi-double/start.ts';
import { XapiError } from '../../../lab/xapi-double/xapi-error.ts';
import { runCli } from '../../../src/cli/program.ts';
import { checkHost } from '../../../src/installer/check-host.ts';
import { disable } from '../../../src/installer/disable.ts';
import { enable, repair } from '../../../src/installer/enable.ts';
import { findLeavings } from '../../../src/installer/leavings/leavings.ts';
import { checkPool } from '../../../src/installer/pool-check.ts';
import { SM_PLUGINS_FILE } from '../../../src/installer/sm-plugins.ts';
import { type HostFixture, startProcess, useHosts } from './host-fixture.ts';
import { linux61, writeTree } from '../../support/recorded-sysfs.ts';

const hosts = useHosts();
/** INSTALLATION_UUID of the trees. */
const HOST = '9c1e54b4-52c1-4f5c-8f0e-6a3a7b1c2d3e';
const OTHER = '11111111-52c1-4f5c-8f0e-6a3a7b1c2d3e';
const FSID = '62c2d501-2b1a-4299-8cc4-e1af5c4b677c';

const noPrograms: HostPort = {
  exec: (_host, program) => Promise.reject(new XapiError('XENAPI_MISSING_PLUGIN', program)),
};

async function xapiOf(host: HostFixture, port: HostPort = noPrograms): Promise<XapiDouble> {
  const double = await startXapiDouble({ unixSocket: host.at('/var/lib/xcp/xapi') }, port, {
    profileId: '8.3a',
    hosts: [{ uuid: HOST, name: 'alpha' }, { uuid: OTHER, name: 'beta' }, { name: 'gamma' }],
  });
  onTestFinished(() => double.close());
  return double;
}

/** An SR with a PBD on this host. */
function plug(
  double: XapiDouble,
  name: string,
  type: string,
  deviceConfig: Record<string, string>,
  attached = true,
  hostRef = double.master.ref,
): string {
  const sr = double.db.create('SR', { name_label: name, type, sm_config: { rbd_fsid: FSID } });
  double.db.create('PBD', { host: hostRef, SR: sr.ref, device_config: deviceConfig, currently_attached: attached });
  return stringOf(sr, 'uuid');
}

function map(host: HostFixture, index: number, image: string): void {
  writeTree(
    { sysRoot: host.at('/sys') },
    linux61(index, { pool: 'xen', name: image, major: '250', cluster_fsid: FSID }),
  );
}

function record(host: HostFixture, sr: string, image: string): void {
  const content = { spec: { pool: 'xen', image }, fsid: FSID, allocation: 'thick' };
  host.write(`/var/run/rbdsr/sr/${sr}.json`, JSON.stringify(content));
}

test('disable names the plugged SRs of both kinds, and no others', async () => {
  const host = hosts.make('8.3b');
  const double = await xapiOf(host);
  await enable(host.open());
  const enabled = host.snapshot();
  const typed = plug(double, 'by type', 'rbd', { pool: 'xen', image: 'a' });
  const wizard = plug(double, 'by wizard', 'lvmoiscsi', { port: '6789', targetIQN: 'xen', SCSIid: 'b' });
  plug(double, 'iscsi', 'lvmoiscsi', { port: '3260', targetIQN: 'iqn', SCSIid: '36' });
  plug(double, 'like it', 'lvmoiscsi', { port: '16789', targetIQN: 'iqn', SCSIid: '37' });
  plug(double, 'unplugged', 'rbd', { pool: 'xen', image: 'c' }, false);
  plug(double, 'elsewhere', 'rbd', { pool: 'xen', image: 'd' }, true, double.hosts[1]?.ref);
  const refusal = await disable(host.open(), false).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ code: 'sr-in-use' });
  expect(String(refusal)).toContain(`"by type" (SR ${typed}, PBD `);
  expect(String(refusal)).toContain(`"by wizard" (SR ${wizard}, PBD `);
  expect(String(refusal)).not.toMatch(/"(iscsi|like it|unplugged|elsewhere)"/);
  expect(host.snapshot()).toEqual(enabled);
  expect((await disable(host.open(), true)).plugged).toHaveLength(2);
});

test('without xapi, disable goes by what is mapped', async () => {
  const host = hosts.make('8.3b');
  await enable(host.open());
  const sr = '0f0e0d0c-0b0a-4908-8706-050403020100';
  record(host, sr, 'a');
  map(host, 0, 'a');
  map(host, 1, 'unknown');
  const refusal = String(await disable(host.open(), false).catch((error: unknown) => error));
  expect(refusal).toMatch(new RegExp(`SR ${sr} \\(.*rbd0, image xen/a\\)`));
  expect(refusal).toMatch(/rbd1, image xen\/unknown \(no SR is recorded for it/);
  host.remove('/sys');
  expect(await disable(host.open(), false)).toMatchObject({ left: [] });
});

test('check --pool: the same version, another one, none at all, and one that cannot tell', async () => {
  const host = hosts.make('8.3b');
  const answers = new Map([
    [HOST, '1.0.0'],
    [OTHER, '0.9.0'],
  ]);
  const double = await xapiOf(host, {
    exec: (uuid, program, request) => {
      const version = answers.get(uuid);
      expect(program).toBe('/etc/xapi.d/plugins/rbdsr');
      expect(request).toContain('<methodName>version</methodName>');
      if (version === undefined) return noPrograms.exec(uuid, program, request);
      const stdout = `<?xml version="1.0"?><methodResponse><params><param><value><struct><member><name>Status</name><value>Success</value></member><member><name>Value</name><value>${version}</value></member></struct></value></param></params></methodResponse>`;
      return Promise.resolve({ stdout, stderr: '', code: version === 'broken' ? 3 : 0 });
    },
  });
  const gamma = stringOf(double.hosts[2]!, 'uuid');
  expect(await checkPool(host.open('1.0.0'))).toEqual([
    { name: 'alpha', uuid: HOST, state: 'same', version: '1.0.0' },
    { name: 'beta', uuid: OTHER, state: 'other-version', version: '0.9.0' },
    { name: 'gamma', uuid: gamma, state: 'none' },
  ]);
  answers.set(OTHER, 'broken');
  expect((await checkPool(host.open('1.0.0')))[1]).toMatchObject({
    state: 'unknown',
    problem: expect.stringContaining('XENAPI_PLUGIN_FAILURE'),
  });
});

test('rbdsr check --pool says what a host without RBDSR puts at risk, and in which order it gets it', async () => {
  const host = hosts.make('8.3b');
  await xapiOf(host);
  const texts: string[] = [];
  const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => (texts.push(chunk.toString()), done()) });
  const surroundings = { versionLine: 'Version : 1.0.0', root: host.root, stdout: sink, stderr: sink };
  expect(await runCli(['check', '--pool'], surroundings)).toBe(1);
  expect(texts.join('')).toMatch(
    /^gamma +NONE +install RBDSR there and run rbdsr enable before its toolstack restarts: .* from the whole pool$/m,
  );
});

describe('check tells whether xapi has been restarted since', () => {
  const enabled = async (): Promise<{ host: HostFixture; xapi: () => Promise<unknown> }> => {
    const host = hosts.make('8.3b');
    await enable(host.open());
    return { host, xapi: async () => (await checkHost(host.open())).at(-1) };
  };
  const knowRbd = (double: XapiDouble): unknown =>
    double.db.create('SM', { type: 'rbd', driver_filename: '/opt/xensource/sm/RBDSR' });
  const TODO = { part: 'xapi', state: 'changed', todo: 'xe-toolstack-restart' };

  test('by what the pool knows', async () => {
    const { host, xapi } = await enabled();
    expect(await xapi()).toMatchObject({ part: 'xapi', state: 'not-needed' });
    const double = await xapiOf(host);
    expect(await xapi()).toMatchObject(TODO);
    startProcess(host, 100, 'xapi', 0);
    expect(await xapi()).toMatchObject(TODO);
    knowRbd(double);
    expect(await xapi()).toMatchObject({ part: 'xapi', state: 'ok', what: 'knows SR type rbd' });
    host.remove('/proc');
    expect(await xapi()).toMatchObject({
      part: 'xapi',
      state: 'ok',
      what: expect.stringContaining('one host of the pool'),
    });
  });

  test('by the start of its own xapi, where another host of the pool knows the type', async () => {
    const { host, xapi } = await enabled();
    knowRbd(await xapiOf(host));
    startProcess(host, 50, 'xapissl', 0);
    startProcess(host, 100, 'xapi', 3600);
    startProcess(host, 200, 'xapi', 0);
    expect(await xapi()).toMatchObject({ ...TODO, path: '/opt/xensource/sm/RBDSR' });
    // The older one is no xapi of now.
    host.write('/var/run/xapi.pid', '200\n');
    expect(await xapi()).toMatchObject({ part: 'xapi', state: 'ok' });
    // A number that is another's by now.
    host.write('/var/run/xapi.pid', '50');
    expect(await xapi()).toMatchObject(TODO);
  });

  test('by the list of SR types that it reads at its start', async () => {
    const { host, xapi } = await enabled();
    await new Promise((resolve) => setTimeout(resolve, 100));
    startProcess(host, 100, 'xapi', 0);
    expect(await xapi()).toMatchObject({
      part: 'xapi',
      state: 'ok',
      what: expect.stringContaining('was started since'),
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    host.write('/etc/xapi.conf.d/linstor.conf', 'sm-plugins=ext linstor\n');
    await repair(host.open());
    expect(await xapi()).toMatchObject({ ...TODO, path: SM_PLUGINS_FILE });
  });
});

test('doctor lists what forgotten SRs have left, and nothing that is in use', async () => {
  const host = hosts.make('8.3b');
  const double = await xapiOf(host);
  const secret = (name: string, config: Record<string, string> = {}): string =>
    stringOf(double.db.create('secret', { value: `hidden ${name}`, other_config: config }), 'uuid');
  const used = secret('used');
  const sr = plug(double, 'in use', 'rbd', { pool: 'xen', image: 'a', password_secret: used });
  map(host, 0, 'a');
  record(host, sr, 'a');
  host.write(`/etc/rbdsr/keys/${sr}.keyring`, 'key');
  expect(await findLeavings(host.root)).toEqual({ leavings: [] });

  const gone = '0f0e0d0c-0b0a-4908-8706-050403020100';
  map(host, 1, 'b');
  record(host, gone, 'b');
  host.write(`/etc/rbdsr/keys/${gone}.keyring`, 'key');
  const orphan = secret('orphan');
  const { leavings } = await findLeavings(host.root);
  expect(leavings.map(({ kind, todo }) => `${kind}: ${todo.replaceAll(host.root, '')}`)).toEqual([
    'mapping: rbdsr unmap /dev/rbd1',
    `record: plug it, or rm /var/run/rbdsr/sr/${gone}.json`,
    `key file: rm /etc/rbdsr/keys/${gone}.keyring`,
    `secret: xe secret-destroy uuid=${orphan}`,
  ]);
  expect(double.calls.filter(({ method }) => /^secret\.get_(value|record|all_records)/.test(method))).toEqual([]);
});

test('doctor without xapi: only records of images that are not mapped', async () => {
  const host = hosts.make('8.3b');
  record(host, '0f0e0d0c-0b0a-4908-8706-050403020100', 'b');
  record(host, '1f0e0d0c-0b0a-4908-8706-050403020100', 'a');
  map(host, 0, 'a');
  const { leavings, problem } = await findLeavings(host.root);
  expect(leavings).toMatchObject([{ kind: 'record', why: expect.stringContaining('xen/b is not mapped') }]);
  expect(problem).toMatch(/^Which SRs there are is not known: /);
});
