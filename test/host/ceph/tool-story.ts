import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../../../lab/cluster/cluster.ts';
import { poolCapabilities } from '../../../src/ceph/control/own-user.ts';
import type { CephCall } from '../../support/stand-ins/recorded-ceph.ts';

const JSON_FORMAT = ['--format', 'json'];
const USER = 'client.rbdsr-0a1b2c';
const CAPABILITIES = poolCapabilities(['xen']);
const GET = ['ceph', 'auth', 'get', USER, ...JSON_FORMAT];
const MAKE = ['ceph', 'auth', 'get-or-create', USER, ...CAPABILITIES, ...JSON_FORMAT];
const REMOVE = ['ceph', 'auth', 'rm', USER];
const LS = ['ceph', 'auth', 'ls', ...JSON_FORMAT];
const LIST = ['ceph', 'auth', 'list', ...JSON_FORMAT];
const CLIENT = '192.0.2.7:0/4711';

/**
 * What the tools of this machine answer to each of our calls on a cluster of theirs, in each state that a call may
 * meet. The cluster has a pool `xen`.
 */
export async function recordCephTools(cluster: Cluster, folder: string): Promise<readonly CephCall[]> {
  const rows: CephCall[] = [];
  const as = async (account: readonly string[], state: string, argv: readonly string[], becomes?: string) => {
    const [program, ...rest] = argv as ['ceph' | 'rbd', ...string[]];
    const { code, stdout, stderr } = await cluster.tryTool(program, ...account, ...rest);
    const after = becomes === undefined ? {} : { becomes };
    rows.push({ state, argv: argv.join(' '), exit: code, ...after, stdout, stderr });
  };
  const account = async (name: string, mon: string): Promise<readonly string[]> => {
    const file = join(folder, `${name}.keyring`);
    writeFileSync(file, await cluster.tool('ceph', 'auth', 'get-or-create', `client.${name}`, 'mon', mon));
    return ['--name', `client.${name}`, '--keyring', file];
  };
  const ask = (state: string, argv: readonly string[], becomes?: string): Promise<void> => as([], state, argv, becomes);

  for (const argv of [
    ['ceph', 'fsid'],
    ['ceph', 'mon', 'dump'],
    ['ceph', 'osd', 'pool', 'ls', 'detail'],
    ['ceph', 'osd', 'dump'],
    ['ceph', 'df'],
  ])
    await ask('any', [...argv, ...JSON_FORMAT]);
  await ask('any', ['rbd', 'namespace', 'ls', ...JSON_FORMAT, '--pool=xen']);
  for (const name of ['blocklist', 'blacklist']) {
    await ask('any', ['ceph', 'osd', name, 'add', CLIENT, '60']);
    await ask('any', ['ceph', 'osd', name, 'rm', CLIENT]);
  }

  for (const argv of [LS, GET, REMOVE]) await ask('no user', argv);
  await ask('no user', MAKE, 'user');
  for (const argv of [LS, LIST, GET, MAKE]) await ask('user', argv);
  const guest = await account('guest', 'profile rbd');
  for (const argv of [LS, GET, MAKE, REMOVE]) await as(guest, 'may not', argv);
  const maker = await account('maker', 'allow command "auth get", allow command "auth get-or-create"');
  await as(maker, 'user, may not remove', REMOVE);
  await ask('user', REMOVE, 'no user');
  await as(maker, 'may not remove', GET);
  await as(maker, 'may not remove', MAKE, 'user, may not remove');
  await cluster.tool('ceph', 'auth', 'caps', USER, 'mon', 'profile rbd', 'osd', 'profile rbd pool=other');
  for (const argv of [GET, MAKE]) await ask('user with other capabilities', argv);

  await recordImages(ask, () => cluster.removeImage('xen/sr1'));
  return rows;
}

type Ask = (state: string, argv: readonly string[], becomes?: string) => Promise<void>;

async function recordImages(ask: Ask, remove: () => Promise<void>): Promise<void> {
  const at = ['--pool=xen', '--image=sr1'];
  const look = (verb: string): readonly string[] => ['rbd', verb, ...JSON_FORMAT, ...at];
  const list = (...more: readonly string[]): readonly string[] => ['rbd', 'ls', ...more, ...JSON_FORMAT, '--pool=xen'];
  const make = (mib: number): readonly string[] => {
    return ['rbd', 'create', '--size', `${mib}M`, '--image-feature', 'layering', '--no-progress', ...at];
  };
  const looked = [list(), list('--long'), look('info'), look('status')];
  const resize = ['rbd', 'resize', '--size', '20M', '--no-progress', ...at];
  for (const argv of [...looked, resize]) await ask('no image', argv);
  await ask('no image', make(10), 'image of 10 MiB');
  for (const argv of [look('info'), look('status')]) await ask('image of 10 MiB', argv);
  await ask('image of 10 MiB', resize, 'image of 20 MiB');
  for (const argv of [look('info'), resize]) await ask('image of 20 MiB', argv);
  await remove();
  await ask('no image', make(128), 'image of 128 MiB');
  const whole = ['rbd', 'diff', '--whole-object', ...JSON_FORMAT, ...at];
  for (const argv of [...looked, make(128), whole]) await ask('image of 128 MiB', argv);
}
