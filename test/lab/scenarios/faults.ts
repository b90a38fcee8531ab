import { afterEach, beforeAll, expect, test } from 'vitest';
import {
  frozenDaemon,
  full,
  killed,
  nearlyFull,
  quickHeartbeats,
  quorumLost,
} from '../../../lab/faults/cluster-faults.ts';
import type { Fault } from '../../../lab/faults/fault.ts';
import { clockOff, frozen, poweredOff, powerCut } from '../../../lab/faults/host-faults.ts';
import { linkDisturbed, linkDown } from '../../../lab/faults/link-faults.ts';
import type { Host } from '../../../lab/hosts/host.ts';
import { runProgram } from '../../../lab/machine/program.ts';
import type { Links } from '../../../lab/hosts/links.ts';
import { leftOn, mapByHand } from './storage.ts';
import type { Lab } from '../scenario.ts';

/** How long the cluster may take to notice something, or to get over it. */
const NOTICE = { timeout: 90_000, interval: 500 };

/**
 * What can go wrong in the lab goes wrong as it says, and is well again afterwards. No code of the product runs here.
 */
export function faults(lab: Lab): void {
  const begin = (fault: Fault): Promise<Fault> => lab().faults.begin(fault);
  const end = (fault: Fault): Promise<void> => lab().faults.end(fault);
  afterEach(() => lab().faults.endAll());

  /** The second host, and its links. */
  function second(): { readonly host: Host; readonly links: Links } {
    const host = lab().host(1);
    if (host.links === undefined) throw new TypeError(`${host.name} is no usual host`);
    return { host, links: host.links };
  }

  const pings = async (host: Host, address: string): Promise<boolean> =>
    (await host.exec(['busybox', 'ping', '-c', '1', '-W', '2', address])).code === 0;
  /** From the cluster's and xapi's side. */
  const pinged = async (address: string): Promise<boolean> => {
    const ping = ['busybox', 'ping', '-c', '1', '-W', '2', address];
    return (await runProgram(lab().cluster.network.inside(ping))).code === 0;
  };
  const status = (): Promise<string> => lab().cluster.tool('ceph', '-s');

  test('a power cut: what was flushed is there again, what was not, memory and mappings are gone; uuid and address stay', async () => {
    const { host, links } = second();
    await lab().cluster.createImage('rbd/cut', { sizeMiB: 16 });
    await mapByHand(lab(), 'cut', 1);
    expect(await leftOn(lab(), 1)).toContain('mapping 0');
    const before = await host.shell(`
for folder in /etc /opt /var/lib /var/log; do echo flushed >$folder/flushed; done
echo gone >/run/in-memory
sync
for folder in /etc /opt /var/lib /var/log; do echo not yet >$folder/not-flushed; done
cat /proc/sys/kernel/random/boot_id`);
    const cut = await begin(powerCut(host));
    expect(host.isOn).toBe(false);
    await expect(host.exec(['true'])).rejects.toThrow('is off');
    await end(cut);
    const found = await host.shell(`
cat /etc/flushed /opt/flushed /var/lib/flushed /var/log/flushed
cat /etc/not-flushed /opt/not-flushed /var/lib/not-flushed /var/log/not-flushed 2>/dev/null || true
ls /run/in-memory 2>/dev/null || true`);
    expect(found).toBe('flushed\n'.repeat(4));
    expect(await host.shell('cat /proc/sys/kernel/random/boot_id')).not.toBe(before);
    expect(await leftOn(lab(), 1)).toBe('');
    expect(await host.shell('cat /etc/xensource-inventory')).toContain(`INSTALLATION_UUID='${host.uuid}'`);
    for (const address of [links.cluster.there, links.pool.there]) {
      expect(await host.check(['ip', '-o', 'addr'])).toContain(` ${address}/`);
      expect(await pinged(address)).toBe(true);
    }
    await host.shell('rm -f /etc/flushed /opt/flushed /var/lib/flushed /var/log/flushed');
    await lab().cluster.removeImageOfDeadClient('rbd/cut');
  });

  test('a host that switches itself off is off, also with a request that a dead cluster does not answer; whoever waits fails', async () => {
    const { host } = second();
    await lab().cluster.createImage('rbd/off', { sizeMiB: 16 });
    await mapByHand(lab(), 'off', 1);
    for (const daemon of lab().cluster.osdNames) await begin(frozenDaemon(lab().cluster, daemon));
    const waiter = host.exec(['dd', 'if=/dev/rbd0', 'of=/dev/null', 'iflag=direct', 'count=1']);
    const told = expect(waiter).rejects.toThrow('went off');
    await host.shell('until grep -q "[r]bd0" /proc/*/cmdline 2>/dev/null; do sleep 0.1; done');
    const off = await begin(poweredOff(host));
    await told;
    expect(host.isOn).toBe(false);
    await end(off);
    await lab().faults.endAll();
    expect(await leftOn(lab(), 1)).toBe('');
    await lab().cluster.removeImageOfDeadClient('rbd/off');
  });

  test('a frozen host does nothing until it is thawed', async () => {
    const { host, links } = second();
    const freeze = await begin(frozen(host));
    let answered = false;
    const answer = host.exec(['true']).then((outcome) => {
      answered = true;
      return outcome;
    });
    expect(await pinged(links.cluster.there)).toBe(false);
    expect(answered).toBe(false);
    await end(freeze);
    expect((await answer).code).toBe(0);
    expect(await pinged(links.cluster.there)).toBe(true);
  });

  test('a clock two hours off, either way', async () => {
    const { host } = second();
    const ahead = async (): Promise<number> =>
      Math.round((Number(await host.check(['date', '+%s'])) - Date.now() / 1000) / 60);
    expect(await ahead()).toBeCloseTo(0);
    for (const hours of [2, -2]) {
      const off = await begin(clockOff(host, hours * 3600));
      expect(await ahead()).toBeCloseTo(hours * 60);
      await end(off);
      expect(await ahead()).toBeCloseTo(0);
    }
  });

  test('the link to the cluster, the link to the pool: each is cut alone, both ways, and the lab reaches the host by a third', async () => {
    const { host, links } = second();
    const { cluster, pool } = links;
    for (const [cut, other] of [
      ['cluster', 'pool'],
      ['pool', 'cluster'],
    ] as const) {
      const down = await begin(linkDown(lab().cluster.network, host, cut));
      expect(await pings(host, links[cut].here), `${host.name} pings over its cut link`).toBe(false);
      expect(await pinged(links[cut].there), `${host.name} is pinged over its cut link`).toBe(false);
      expect(await pings(host, links[other].here)).toBe(true);
      expect(await pinged(links[other].there)).toBe(true);
      expect(await host.check(['hostname'])).toBe(`${host.name}\n`);
      await end(down);
      for (const address of [cluster.here, pool.here]) expect(await pings(host, address)).toBe(true);
      for (const address of [cluster.there, pool.there]) expect(await pinged(address)).toBe(true);
    }
  });

  test('packets that are late or lost, in both directions', async () => {
    const { host, links } = second();
    const roundTrip = async (): Promise<number> => {
      const said = await host.check(['busybox', 'ping', '-c', '3', '-W', '5', links.cluster.here]);
      const [, average = ''] = /= [\d.]+\/([\d.]+)\//.exec(said) ?? [];
      return Number(average);
    };
    const slow = await begin(linkDisturbed(host, 'cluster', { delayMs: 200 }));
    // Out and back again: a delay of one direction would be half of it.
    expect(await roundTrip()).toBeGreaterThan(390);
    await end(slow);
    expect(await roundTrip()).toBeLessThan(200);
    const received = async (): Promise<number> => {
      const { stdout } = await host.exec(['busybox', 'ping', '-i', '0.05', '-c', '60', '-W', '2', links.cluster.here]);
      return Number(/(\d+) packets received/.exec(stdout)?.[1]);
    };
    const lossy = await begin(linkDisturbed(host, 'cluster', { lossPercent: 40 }));
    // 0.6 * 0.6 of sixty are 22; of one direction alone 36 would come back.
    expect(await received()).toBeLessThan(33);
    await end(lossy);
    expect(await received()).toBe(60);
  });

  test('monitors: one is killed, one is frozen, and each comes back; the quorum is lost and regained', async () => {
    const { cluster } = lab();
    const [first = 'mon.a', second = 'mon.b'] = cluster.monitorNames;
    for (const fault of [killed(cluster, first), frozenDaemon(cluster, second)]) {
      await begin(fault);
      await expect.poll(status, NOTICE).toMatch(/1\/3 mons down/);
      await end(fault);
      await expect.poll(status, NOTICE).toMatch(/mon: 3 daemons, quorum a,b,c/);
    }
    const lost = await begin(quorumLost(cluster));
    const asked = await cluster.tryTool('ceph', '--connect-timeout', '3', '-s');
    expect(asked.code, asked.stdout).not.toBe(0);
    expect(asked.stderr).toMatch(/timed out|error connecting/i);
    await end(lost);
    await expect.poll(status, NOTICE).toMatch(/mon: 3 daemons, quorum a,b,c/);
  });

  test('OSDs: one is killed, one is frozen, and each comes back; a pool with copies is written while one is dead', async () => {
    const { cluster } = lab();
    await begin(quickHeartbeats(cluster));
    const [first = 'osd.0', second = 'osd.1'] = cluster.osdNames;
    const put = (turn: number): Promise<string> =>
      cluster.tool('rados', '-p', 'copies', 'put', `object-${turn}`, '/etc/hostname');
    for (const [turn, fault] of [killed(cluster, first), frozenDaemon(cluster, second)].entries()) {
      await begin(fault);
      await expect.poll(status, NOTICE).toMatch(/osd: 3 osds: 2 up/);
      // Of one that is frozen nobody knows that it does not serve any more: until its lease has run out, after minutes,
      // no other does.
      if (fault.what.includes('killed')) await put(turn);
      await end(fault);
      await expect.poll(status, NOTICE).toMatch(/osd: 3 osds: 3 up/);
      await put(turn);
    }
    const objects = await cluster.tool('rados', '-p', 'copies', 'ls');
    expect(
      objects
        .split('\n')
        .filter((name) => name.startsWith('object-'))
        .sort(),
    ).toEqual(['object-0', 'object-1']);
  });

  test('a nearly full cluster says so, a full one too', async () => {
    const { cluster } = lab();
    const nearly = await begin(nearlyFull(cluster));
    await expect.poll(status, NOTICE).toMatch(/3 nearfull osd/);
    await end(nearly);
    await expect.poll(status, NOTICE).not.toMatch(/nearfull/);
    const isFull = await begin(full(cluster));
    await expect.poll(status, NOTICE).toMatch(/3 full osd/);
    await end(isFull);
    await expect.poll(status, NOTICE).not.toMatch(/full/);
  });

  beforeAll(() => lab().cluster.createPool('copies', { copies: 3 }));
}
