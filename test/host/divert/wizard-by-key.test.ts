import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../../../lab/cluster/cluster.ts';
import { check, runProgram } from '../../../lab/machine/program.ts';
import { RunFolder } from '../../../lab/machine/run-folder.ts';
import { sweepDeadRuns, sweepRun } from '../../../lab/machine/sweep.ts';
import { mapOf } from '../../../lab/xapi-double/database.ts';
import type { XapiDouble } from '../../../lab/xapi-double/double.ts';
import { plugAll, srCreate, srIntroduce, srProbe } from '../../../lab/xapi-double/sr-operations.ts';
import { startXapiDouble } from '../../../lab/xapi-double/start.ts';
import type { XapiError } from '../../../lab/xapi-double/xapi-error.ts';
import { sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import { buildProduct, place, placeHost } from '../../support/folder-host.ts';
import { failure } from '../../support/xapi-failure.ts';
import { xenCenterLuns, xenCenterTargets } from '../../support/wizard-clients/xencenter.ts';
import { xenOrchestraLuns, xenOrchestraTargets } from '../../support/wizard-clients/xen-orchestra.ts';

// The wizard with what a security team hands out, a cephx user with `profile rbd` on one pool and its key, against a
// cluster on whose hosts no SSH server runs. Creating and destroying takes a kernel: test/lab/scenarios.

let run: RunFolder;
let cluster: Cluster;
let xapi: XapiDouble;
let key: string;
const folder = mkdtempSync(join(tmpdir(), 'rbdsr-by-key-'));
const root = join(folder, 'host');

beforeAll(async () => {
  await sweepDeadRuns();
  run = RunFolder.create();
  cluster = await Cluster.start(run, { name: 'by-key', monitors: 2 });
  await cluster.createPool('other');
  await cluster.tool('ceph', 'osd', 'pool', 'create', 'unmarked', '1');
  for (const name of ['b', 'a', 'has space']) await cluster.createImage(`rbd/${name}`, { sizeMiB: 64 });
  ({ key } = await cluster.createUser('xen', ['rbd']));
  const product = join(folder, 'product');
  buildProduct(product);
  place(join(product, 'stock/LVMoISCSISR'), (path) => writeFileSync(path, '#!/bin/sh\necho stock\n'));
  chmodSync(join(product, 'stock/LVMoISCSISR'), 0o755);
  const uuid = randomUUID();
  const env = { RBDSR_ROOT: root, RBDSR_HOME: product, RBDSR_RUN: join(root, 'run') };
  const exec = (_host: string, _program: string, argument: string) =>
    runProgram(cluster.network.inside([join(product, 'divert.py'), argument]), { env });
  const socket = join(folder, 'xapi');
  xapi = await startXapiDouble({ unixSocket: socket }, { exec }, { profileId: '8.3b', hosts: [{ uuid }] });
  placeHost(root, uuid, socket);
  const capabilities = ['SR_PROBE', 'VDI_CREATE'];
  xapi.db.create('SM', { type: 'lvmoiscsi', driver_filename: '/opt/xensource/sm/LVMoISCSISR', capabilities });
});

afterAll(async () => {
  await xapi?.close();
  await cluster?.destroy();
  await sweepRun(run.id);
  rmSync(folder, { recursive: true, force: true });
});

const address = (): string => cluster.monitors[0]?.replace(/:6789$/, '') ?? '';
const fields = (more: Record<string, string> = {}): Record<string, string> => ({
  target: address(),
  port: '6789',
  chapuser: 'client.xen',
  chappassword: key,
  ...more,
});

/** What a client finds in the fourth element of the error: xapi's third parameter. */
function listOf(error: XapiError, number: number): string {
  expect(error.backendNumber, error.message).toBe(number);
  return error.description[3] ?? '';
}

const log = (): string => readFileSync(join(root, 'var/log/SMlog'), 'utf8');

test('no SSH server runs at any monitor', async () => {
  expect(await check(cluster.network.inside(['ss', '-Hltn', 'sport = :22']))).toBe('');
});

describe.each([
  ['Xen Orchestra', (config: Record<string, string>) => srProbe(xapi, { type: 'lvmoiscsi', deviceConfig: config })],
  [
    'XenCenter',
    (config: Record<string, string>) =>
      srCreate(xapi, { type: 'lvmoiscsi', deviceConfig: config, nameLabel: '__gui__' }),
  ],
] as const)('%s', (_client, ask) => {
  test('lists the pools for RBD images, and the log says who was asked as whom', async () => {
    const xml = listOf(await failure(ask(fields())), 96);
    const iqns = ['other', 'rbd'];
    expect(xenCenterTargets(xml).map(({ iqn, port, address: ip }) => ({ iqn, port, ip }))).toEqual(
      iqns.map((iqn) => ({ iqn, port: 6789, ip: address() })),
    );
    expect(xenOrchestraTargets(xml, address()).map(({ iqn }) => iqn)).toEqual(iqns);
    expect(log()).toContain('the cluster is asked as client.xen, by RBDSR itself');
    expect(log()).not.toContain('ceph tools');
  });

  test('lists the images of a pool that can be mapped', async () => {
    const xml = listOf(await failure(ask(fields({ targetIQN: 'rbd' }))), 107);
    expect(xenCenterLuns(xml).map(({ scsiId, size }) => ({ scsiId, size }))).toEqual([
      { scsiId: 'a', size: 64n << 20n },
      { scsiId: 'b', size: 64n << 20n },
    ]);
    expect(xenOrchestraLuns(xml).map(({ scsiId }) => scsiId)).toEqual(['a', 'b']);
    expect(log()).toContain('"has space" is not listed');
  });

  const otherKey = 'AQBWrkFnAAAAABAAKVCdmlmPrDvRyxkXYsGAUA==';
  test.each([
    ['the key of another user', { chappassword: otherKey }, 68, /client\.xen log in: .* its key is another/],
    ['a user that is not there', { chapuser: 'client.nobody' }, 68, /client\.nobody.*no such user/],
    [
      'a password that is no key',
      { chappassword: 'c0rrect horse' },
      20,
      /device-config chappassword: .*is not a cephx key.*ceph auth get-key client\.xen.*without "client\."/,
    ],
    ['an empty password', { chappassword: '' }, 20, /chappassword: .*0 characters.*ceph auth get-key client\.xen/],
    ['a pool that the user may not use', { targetIQN: 'other' }, 68, /osd 'profile rbd pool=other'/],
    ['a pool that is not there', { targetIQN: 'absent' }, 19, /absent/],
    ['an address where nobody listens', { target: '10.66.0.250' }, 141, /10\.66\.0\.250/],
  ])('%s', async (_what, more, number, says) => {
    const error = await failure(ask(fields(more)));
    expect(error.backendNumber, error.message).toBe(number);
    expect(error.message).toMatch(says);
    for (const secret of [key, otherKey, 'c0rrect horse']) expect(error.message).not.toContain(secret);
  });

  test.skipIf(kernelTraits().aes256k)('a key that the kernel cannot use', async () => {
    const error = await failure(ask(fields({ chappassword: sampleKey('aes256k').reveal() })));
    expect(error.backendNumber, error.message).toBe(448);
    expect(error.message).toContain('ceph auth rotate --key-type aes client.xen');
  });

  test('leaves no record, no file with the key and no key in the log', async () => {
    for (const kind of ['SR', 'PBD', 'VDI'] as const) expect(xapi.db.all(kind)).toEqual([]);
    expect(log()).not.toContain(key);
    expect(await check(['sh', '-c', `grep -rlF '${key}' ${root} || true`])).toBe('');
  });
});

test('a monitor was typed, and all that the cluster has are kept, before the kernel has told of any', async () => {
  const deviceConfig = fields({ targetIQN: 'rbd', SCSIid: 'a' });
  const sr = srIntroduce(xapi, { type: 'lvmoiscsi', uuid: randomUUID(), deviceConfig });
  // There is no kernel here to map with.
  expect(await plugAll(xapi, sr.ref)).toHaveLength(1);
  const kept = mapOf(sr, 'sm_config');
  expect(kept).toMatchObject({ rbd_user: 'xen', rbd_own_user: 'false' });
  expect(kept['rbd_monitors']?.split(',').sort()).toEqual([...cluster.monitors].sort());
  expect(cluster.monitors).toHaveLength(2);
});
