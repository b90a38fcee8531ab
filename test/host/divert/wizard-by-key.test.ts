import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { check } from '../../../lab/machine/program.ts';
import { mapOf } from '../../../lab/xapi-double/database.ts';
import { plugAll, srIntroduce } from '../../../lab/xapi-double/sr-operations.ts';
import { sampleKey } from '../../../src/ceph/cluster/cephx-key.ts';
import { kernelTraits } from '../../../src/ceph/krbd/kernel-traits.ts';
import { xenCenterLuns, xenCenterTargets } from '../../support/wizard-clients/xencenter.ts';
import { xenOrchestraLuns, xenOrchestraTargets } from '../../support/wizard-clients/xen-orchestra.ts';
import { failure } from '../../support/xapi-failure.ts';
import { listOf, WIZARD_CLIENTS, WizardPool } from './wizard-pool.ts';

// The wizard with what a security team hands out, a cephx user with `profile rbd` on one pool and its key, against a
// cluster on whose hosts no SSH server runs. Creating and destroying takes a kernel: test/lab/scenarios.

let pool: WizardPool;
let key: string;

beforeAll(async () => {
  pool = await WizardPool.make('by-key', { monitors: 2 });
  ({ key } = await pool.cluster.createUser('xen', ['rbd']));
});

afterAll(() => pool?.destroy());

const address = (): string => pool.cluster.monitors[0]?.replace(/:6789$/, '') ?? '';
const fields = (more: Record<string, string> = {}): Record<string, string> => ({
  target: address(),
  port: '6789',
  chapuser: 'client.xen',
  chappassword: key,
  ...more,
});

test('no SSH server runs at any monitor', async () => {
  expect(await check(pool.cluster.network.inside(['ss', '-Hltn', 'sport = :22']))).toBe('');
});

describe.each(WIZARD_CLIENTS)('%s', (client) => {
  test('lists the pools for RBD images, and the log says who was asked as whom', async () => {
    const xml = listOf(await failure(pool.clients[client](fields())), 96);
    const iqns = ['other', 'rbd'];
    expect(xenCenterTargets(xml).map(({ iqn, port, address: ip }) => ({ iqn, port, ip }))).toEqual(
      iqns.map((iqn) => ({ iqn, port: 6789, ip: address() })),
    );
    expect(xenOrchestraTargets(xml, address()).map(({ iqn }) => iqn)).toEqual(iqns);
    expect(pool.log()).toContain('the cluster is asked as client.xen, by RBDSR itself');
    expect(pool.log()).not.toContain('ceph tools');
  });

  test('lists the images of a pool that can be mapped', async () => {
    const xml = listOf(await failure(pool.clients[client](fields({ targetIQN: 'rbd' }))), 107);
    expect(xenCenterLuns(xml).map(({ scsiId, size }) => ({ scsiId, size }))).toEqual([
      { scsiId: 'a', size: 64n << 20n },
      { scsiId: 'b', size: 64n << 20n },
    ]);
    expect(xenOrchestraLuns(xml).map(({ scsiId }) => scsiId)).toEqual(['a', 'b']);
    expect(pool.log()).toContain('"has space" is not listed');
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
    const error = await failure(pool.clients[client](fields(more)));
    expect(error.backendNumber, error.message).toBe(number);
    expect(error.message).toMatch(says);
    for (const secret of [key, otherKey, 'c0rrect horse']) expect(error.message).not.toContain(secret);
  });

  test.skipIf(kernelTraits().aes256k)('a key that the kernel cannot use', async () => {
    const error = await failure(pool.clients[client](fields({ chappassword: sampleKey('aes256k').reveal() })));
    expect(error.backendNumber, error.message).toBe(448);
    expect(error.message).toContain('ceph auth rotate --key-type aes client.xen');
  });

  test('leaves no record, no file with the key and no key in the log', async () => {
    for (const kind of ['SR', 'PBD', 'VDI'] as const) expect(pool.xapi.db.all(kind)).toEqual([]);
    expect(pool.log()).not.toContain(key);
    expect(await check(['sh', '-c', `grep -rlF '${key}' ${pool.root} || true`])).toBe('');
  });
});

test('a monitor was typed, and all that the cluster has are kept, before the kernel has told of any', async () => {
  const deviceConfig = fields({ targetIQN: 'rbd', SCSIid: 'a' });
  const sr = srIntroduce(pool.xapi, { type: 'lvmoiscsi', uuid: randomUUID(), deviceConfig });
  // There is no kernel here to map with.
  expect(await plugAll(pool.xapi, sr.ref)).toHaveLength(1);
  const kept = mapOf(sr, 'sm_config');
  expect(kept).toMatchObject({ rbd_user: 'xen', rbd_own_user: 'false' });
  expect(kept['rbd_monitors']?.split(',').sort()).toEqual([...pool.cluster.monitors].sort());
  expect(pool.cluster.monitors).toHaveLength(2);
});
