import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openSession } from '../../../lab/xapi-double/double.ts';
import { localHost } from '../../../lab/xapi-double/local-host.ts';
import { startXapiDouble } from '../../../lab/xapi-double/start.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { runPlugin } from '../../../src/sm/plugin/run-plugin.ts';
import { takeRecordLock } from '../../../src/system/locks/record-lock.ts';
import { decodeResponse } from '../../../src/xmlrpc/decode.ts';
import { encodeCall } from '../../../src/xmlrpc/encode.ts';
import { canTake, OtherHolder } from '../../support/stock-locks.ts';
import { HOST_UUID, place, stopWorkerAt, usePlugin } from './plugin-process.ts';
import { SR, VDI } from './request-text.ts';

const plugin = usePlugin();

function failureOf(stdout: string): unknown {
  const answer = decodeResponse(stdout);
  return 'value' in answer ? answer.value : answer;
}

const failure = (...description: readonly unknown[]): unknown => ({
  Status: 'Failure',
  ErrorDescription: ['XENAPI_PLUGIN_FAILURE', ...description],
});

/** A host whose xapi answers; the session is good there. */
async function hostWithXapi(settings?: string) {
  const root = plugin.host('8.3b', settings);
  place(root, '/var/lib/xcp/none', '');
  const double = await startXapiDouble({ unixSocket: `${root}/var/lib/xcp/xapi` }, localHost(), {
    profileId: '8.3b',
    hosts: [{ uuid: HOST_UUID }],
  });
  onTestFinished(() => double.close());
  return { root, double, session: openSession(double.sessions).ref };
}

test.each([
  ['no XML', ['x'], /line 1/],
  ['no argument', [], /exactly one argument.*found 0/],
  ['a request of the driver', [encodeCall('sr_scan', [{ command: 'sr_scan' }])], /call of sr_scan has the wrong shape/],
  ['an argument that is no string', [encodeCall('inflate', ['S', { sr_uuid: 3 }])], /argument sr_uuid of inflate/],
])('%s is refused', async (_what, argv, says) => {
  const { code, stdout, stderr } = await plugin.run(plugin.host('8.3b'), argv, 'plugin');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(failureOf(stdout)).toEqual(failure(expect.any(String), 'bad-request', expect.stringMatching(says)));
});

test.each(['version', 'inflate', 'deflate', 'refresh'])(
  '%s: a session that xapi does not know is refused',
  async (fn) => {
    const { root } = await hostWithXapi();
    const call = encodeCall(fn, ['OpaqueRef:stale', { sr_uuid: SR, vdi_uuid: VDI, host_ref: 'OpaqueRef:H' }]);
    const { stdout } = await plugin.run(root, [call], 'plugin');
    expect(failureOf(stdout)).toEqual(failure(fn, 'xapi-failure', expect.stringContaining('SESSION_INVALID')));
    expect(stdout).not.toContain('stale');
    expect(plugin.log(root)).not.toContain('stale');
  },
);

test('the launcher passes on what the worker says', async () => {
  const { root, session } = await hostWithXapi();
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string };
  const { code, stdout } = await plugin.launch(root, encodeCall('version', [session, {}]), 'plugin.sh');
  expect(code).toBe(0);
  expect(failureOf(stdout)).toEqual({ Status: 'Success', Value: version });
});

test('a worker that cannot answer: the launcher says what it waits for, in the form of a plug-in', async () => {
  const { root, double, session } = await hostWithXapi('deadline = 3\n');
  double.db.create('SR', { uuid: SR, type: 'rbd' });
  const spec = { pool: 'xen', image: 'sr1' };
  place(root, `/var/run/rbdsr/sr/${SR}.json`, JSON.stringify({ spec, allocation: 'thin', fsid: 'f' }));
  const mapped = { pool: 'xen', name: 'sr1', major: '7', size: '0', cluster_fsid: 'f' };
  for (const [name, text] of Object.entries(mapped)) place(root, `/sys/bus/rbd/devices/0/${name}`, text);
  const lock = await takeRecordLock(`${root}/var/lock/sm/${SR}/sr`, { wait: false, deadline: Deadline.after(0) });
  onTestFinished(() => lock.release());

  const launched = plugin.launch(root, encodeCall('inflate', [session, { sr_uuid: SR, vdi_uuid: VDI }]), 'plugin.sh');
  await stopWorkerAt(root, lock.path);
  const { code, stdout } = await launched;
  expect(code).toBe(0);
  expect(failureOf(stdout)).toEqual(failure('inflate', 'deadline', expect.stringContaining(lock.path)));
});

test.each(['inflate', 'deflate', 'refresh'])('%s waits for what an earlier command may still write', async (fn) => {
  const { root, double, session } = await hostWithXapi('deadline = 5\n');
  double.db.create('SR', { uuid: SR, type: 'rbd' });
  const spec = { pool: 'xen', image: 'sr1' };
  place(root, `/var/run/rbdsr/sr/${SR}.json`, JSON.stringify({ spec, allocation: 'thin', fsid: 'f' }));
  const mapped = { pool: 'xen', name: 'sr1', major: '7', size: '0', cluster_fsid: 'f' };
  for (const [name, text] of Object.entries(mapped)) place(root, `/sys/bus/rbd/devices/0/${name}`, text);
  await using holder = await OtherHolder.of(join(root, `var/run/rbdsr/late/${SR}.lock`), 'shared');
  const call = encodeCall(fn, [session, { sr_uuid: SR, vdi_uuid: VDI, host_ref: 'OpaqueRef:H' }]);
  const { stdout } = await plugin.run(root, [call], 'plugin');
  expect(failureOf(stdout)).toEqual(failure(fn, 'lock-busy', expect.stringContaining(`pid ${holder.pid} `)));
});

test('what the launcher says by itself has that form, too', async () => {
  const { root } = await hostWithXapi();
  const call = encodeCall('version', ['S', {}]);
  rmSync(join(root, 'run'), { recursive: true, force: true });
  writeFileSync(join(root, 'run'), '');
  const { code, stdout } = await plugin.launch(root, call, 'plugin.sh');
  expect(code).toBe(0);
  expect(failureOf(stdout)).toEqual(failure('launcher', 'internal', expect.stringContaining('cannot be written')));
});

test('is_open that could not take down what was left may still be on its way there: a late writer until its process ends', async () => {
  const { root, double, session } = await hostWithXapi('datapath = nbd\ndeadline = 600\n');
  double.db.create('SR', { uuid: SR, type: 'rbd' });
  const late = `${root}/var/run/rbdsr/late/${SR}.lock`;
  place(root, `/var/run/rbdsr/late/${SR}.lock`, '');
  expect(await canTake([late], 2000)).toBe(true);
  // xapi has no such disk: that comes out after the data path has been taken down.
  const call = encodeCall('is_open', [session, { sr_uuid: SR, vdi_uuid: VDI }]);
  const { stdout } = await runPlugin([call], { root, callDirectory: undefined, version: '0' });
  expect(failureOf(stdout)).toEqual(failure('is_open', 'xapi-failure', expect.stringContaining('UUID_INVALID')));
  expect(await canTake([late], 500)).toBe(false);
});
