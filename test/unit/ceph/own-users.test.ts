import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { clusterAccess } from '../../../src/ceph/cluster/access.ts';
import { listOwnUsers } from '../../../src/ceph/control/own-users.ts';
import { CephToolRunner } from '../../../src/ceph/control/tools/ceph-tool-runner.ts';
import { cephStandIn, type CephStandIn } from '../../support/stand-ins/recorded-ceph.ts';

const folder = mkdtempSync(join(tmpdir(), 'rbdsr-own-users-'));
afterAll(() => rmSync(folder, { recursive: true }));

const LS = 'ceph auth ls --format json';
const LIST = 'ceph auth list --format json';

function cluster(state: string, version?: string): { ceph: CephStandIn; own: () => Promise<readonly string[]> } {
  const options = { state, ...(version === undefined ? {} : { version }) };
  const ceph = cephStandIn(mkdtempSync(join(folder, 'bin-')), options);
  const access = clusterAccess({ monitors: '192.0.2.15', key: sampleKey('aes') });
  const tools = new CephToolRunner(access, { searchPath: [ceph.folder], runDir: join(folder, 'run') });
  return { ceph, own: () => listOwnUsers(tools, Deadline.after(20_000)) };
}

test('of all users those are told that some RBDSR has made', async () => {
  const { ceph, own } = cluster('user');
  expect(await own()).toEqual(['rbdsr-0a1b2c']);
  expect(ceph.calls).toEqual([LS]);
  expect(await cluster('no user').own()).toEqual([]);
});

test('a cluster before Luminous is asked by the name that it knows', async () => {
  const { ceph, own } = cluster('user', '10');
  expect(await own()).toEqual(['rbdsr-0a1b2c']);
  expect(ceph.calls).toEqual([LS, LIST]);
});

test('any other failure is not asked again', async () => {
  const { ceph, own } = cluster('may not');
  await expect(own()).rejects.toMatchObject({ code: 'cluster-auth' });
  expect(ceph.calls).toEqual([LS]);
});
