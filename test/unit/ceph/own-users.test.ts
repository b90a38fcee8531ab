import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { Secret } from '../../../src/base/secret.ts';
import { clusterAccess } from '../../../src/ceph/cluster/access.ts';
import { listOwnUsers } from '../../../src/ceph/control/own-users.ts';
import { CephToolRunner } from '../../../src/ceph/control/tools/ceph-tool-runner.ts';
import { ProgramStandIn, type Transcript } from '../../support/ceph-stand-in.ts';

const folder = mkdtempSync(join(tmpdir(), 'rbdsr-own-users-'));
afterAll(() => rmSync(folder, { recursive: true }));

const KEY = 'AQA0eCVpAAAAABAAWNNzoaFdRTVUzUyMVZKm9w==';
const USERS = JSON.stringify({
  auth_dump: [
    { entity: 'client.admin', key: KEY, caps: {} },
    { entity: 'client.rbdsr-0a1b2c', key: KEY, caps: {} },
  ],
});
const LS = 'auth ls --format json';
const LIST = 'auth list --format json';
// As `ceph` ends for a command that no monitor has described to it (ceph src/ceph.in); it names each that is similar.
const UNKNOWN = { stderr: 'no valid command found; 10 closest matches:\nError EINVAL: invalid command\n', exit: 22 };

function cluster(transcript: Transcript): { ceph: ProgramStandIn; own: () => Promise<readonly string[]> } {
  const ceph = new ProgramStandIn(mkdtempSync(join(folder, 'bin-')), 'ceph', transcript);
  const access = clusterAccess({ monitors: '192.0.2.15', key: new Secret(KEY) });
  const tools = new CephToolRunner(access, { searchPath: [ceph.folder], runDir: join(folder, 'run') });
  return { ceph, own: () => listOwnUsers(tools, Deadline.after(20_000)) };
}

test('of all users those are told that some RBDSR has made', async () => {
  const { ceph, own } = cluster({ [LS]: { stdout: USERS } });
  expect(await own()).toEqual(['rbdsr-0a1b2c']);
  expect(ceph.calls).toEqual([LS]);
});

test('a cluster before Luminous is asked by the name that it knows', async () => {
  const { ceph, own } = cluster({ [LS]: UNKNOWN, [LIST]: { stdout: USERS } });
  expect(await own()).toEqual(['rbdsr-0a1b2c']);
  expect(ceph.calls).toEqual([LS, LIST]);
});

test('any other failure is not asked again', async () => {
  const { ceph, own } = cluster({ [LS]: { stderr: 'Error EACCES: access denied\n', exit: 13 } });
  await expect(own()).rejects.toMatchObject({ code: 'cluster-auth' });
  expect(ceph.calls).toEqual([LS]);
});
