import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NetworkNamespace } from '../../../lab/machine/network-namespace.ts';
import { check, startDaemon, stopDaemon } from '../../../lab/machine/program.ts';
import type { Pool } from '../../../lab/pool.ts';
import { srCreate, srDestroy, unplugAll } from '../../../lab/xapi-double/sr-operations.ts';
import { configOf, type Lab } from '../scenario.ts';
import { failure } from '../../support/xapi-failure.ts';
import { leftOn, mapByHand } from './storage.ts';

/** Under emulation a call takes many seconds. */
const SLOW = { timeout: 900_000 };
const STRANGER = '10.66.9.2';

/** sr_create sees who else has the image open, on hosts without ceph tools. */
export function foreignClients(lab: Lab): void {
  let network: NetworkNamespace;
  let client: ChildProcess | undefined;

  beforeAll(async () => {
    const pool = lab();
    await pool.cluster.createImage('rbd/watched', { sizeMiB: 128 });
    network = await strangersNetwork(pool);
  });
  afterAll(async () => {
    if (client !== undefined) await stopDaemon(client);
    await network.remove();
  });

  const create = async (): ReturnType<typeof srCreate> =>
    srCreate(lab().double, { type: 'rbd', deviceConfig: await configOf(lab(), 'watched') });
  const watchers = async (): Promise<string[]> => {
    const text = await lab().cluster.tool('rbd', 'status', '--format', 'json', 'rbd/watched');
    return (JSON.parse(text) as { watchers: { address: string }[] }).watchers.map(({ address }) => address);
  };
  const watchedBy = async (count: number): Promise<string[]> => {
    for (let turn = 0; turn < 120; turn += 1) {
      const found = await watchers();
      if (found.length === count) return found;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    throw new Error(`the image is watched by ${(await watchers()).join(', ') || 'nobody'}`);
  };

  test('an image that a client outside the pool has open is refused, with its address', async () => {
    const pool = lab();
    client = startDaemon(
      network.inside(['rbd', '-c', pool.cluster.configPath, ...READS_SLOWLY, 'rbd/watched']),
      `${pool.run.folder('stranger')}/client.log`,
    );
    const [address = ''] = await watchedBy(1);
    expect(address).toContain(`${STRANGER}:0/`);
    const error = await failure(create());
    expect(error.backendNumber).toBe(56);
    expect(error.message).toContain(address);
    expect(error.message).toMatch(/no host of this pool.*rbd status/s);
    for (const host of [0, 1]) expect(await leftOn(pool, host)).toBe('');
    expect(pool.double.db.all('SR')).toEqual([]);
    await stopDaemon(client);
    client = undefined;
    // As the message says, the cluster forgets it after 30 s.
    await watchedBy(0);
  });

  test('a host of the pool may have it open, as its address in xapi tells', SLOW, async () => {
    const pool = lab();
    const host = pool.double.hosts[1];
    if (host === undefined) throw new Error('the pool has a second host');
    await mapByHand(pool, 'watched', 1);
    const [address = ''] = await watchedBy(1);
    expect((await failure(create())).message).toContain(address);
    const before = host.fields['address'] ?? '';
    host.fields['address'] = address.replace(/:.*/, '');
    await removed(await create());
    host.fields['address'] = before;
  });

  test('the master may have it open itself, under an address that xapi does not know', SLOW, async () => {
    const pool = lab();
    const killed = pool.withDriverEnvironment({ RBDSR_FAULT: 'ceph.map.after-add' }, create);
    await expect(killed).rejects.toThrow('non-zero exit');
    const [address = ''] = await watchedBy(1);
    expect(pool.double.hosts.map(({ fields }) => fields['address'])).not.toContain(address.replace(/:.*/, ''));
    await removed(await create());
    expect(pool.double.offences).toEqual([]);
  });

  async function removed({ sr, plugErrors }: Awaited<ReturnType<typeof srCreate>>): Promise<void> {
    const pool = lab();
    expect(plugErrors).toEqual([]);
    await unplugAll(pool.double, sr.ref);
    await srDestroy(pool.double, sr.ref);
    for (const index of pool.hosts.keys()) expect(await leftOn(pool, index)).toBe('');
  }
}

/** Opens the image as a virtual machine's emulator does, and reads a little now and then. */
const READS_SLOWLY = '--rbd-qos-iops-limit=2 bench --io-type read --io-threads 1 --io-total 1T'.split(' ');

/** A machine beside the pool: a network of its own, with a way to the cluster. */
async function strangersNetwork(pool: Pool): Promise<NetworkNamespace> {
  const cluster = pool.cluster.network.name;
  const network = await NetworkNamespace.create(pool.run, 'stranger', []);
  await check([
    'ip',
    '-n',
    cluster,
    'link',
    'add',
    'stranger',
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    network.name,
  ]);
  await check(['ip', '-n', cluster, 'addr', 'add', '10.66.9.1/24', 'dev', 'stranger']);
  await check(['ip', '-n', cluster, 'link', 'set', 'stranger', 'up']);
  await check(['ip', '-n', network.name, 'addr', 'add', `${STRANGER}/24`, 'dev', 'eth0']);
  await check(['ip', '-n', network.name, 'link', 'set', 'eth0', 'up']);
  await check(['ip', '-n', network.name, 'route', 'add', '10.66.0.0/24', 'via', '10.66.9.1']);
  return network;
}
