import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { frozenDaemon } from '../../../../lab/faults/cluster-faults.ts';
import { frozen } from '../../../../lab/faults/host-faults.ts';
import type { Outcome } from '../../../../lab/machine/program.ts';
import { pbdPlug, pbdUnplug } from '../../../../lab/xapi-double/pbd-operations.ts';
import { failure } from '../../../support/xapi-failure.ts';
import { type Lab, makeSr } from '../../scenario.ts';
import { OneSector } from './late-writes.ts';
import { OtherHost } from './other-host.ts';
import { LVM_CONFIG } from '../storage.ts';

const MAY_UNFENCE = 'profile rbd, allow command "osd blocklist" with blocklistop=rm';

/** What an operator does on the bad day, on hosts whose kernel has the image mapped. */
export function fencing(lab: Lab): void {
  let other: OtherHost;
  let sr: Awaited<ReturnType<typeof makeSr>>;

  beforeAll(async () => {
    const { cluster } = lab();
    other = new OtherHost(lab);
    // A busy machine needs more than the 30 s after which a frozen host is forgotten.
    await cluster.tool('ceph', 'config', 'set', 'osd', 'osd_client_watch_timeout', '600');
    await cluster.tool(
      'ceph',
      'auth',
      'get-or-create',
      'client.fencer',
      'mon',
      MAY_UNFENCE,
      'osd',
      'profile rbd pool=rbd',
    );
    sr = await makeSr(lab(), 'fenced', 512, { user: 'fencer', password: await cluster.userKey('fencer') });
    other.live = false;
  });
  afterEach(() => lab().faults.endAll());
  afterAll(async () => {
    await other.end();
    await lab().cluster.tool('ceph', 'config', 'rm', 'osd', 'osd_client_watch_timeout');
  });

  const rbdsr = (...args: readonly string[]): Promise<Outcome> => other.rbdsr(...args);
  const sector = new OneSector(lab);

  /** Unplugged and plugged, as the command says. */
  async function mappedAnew(): Promise<void> {
    await pbdUnplug(lab().double, other.plug(sr.ref));
    await pbdPlug(lab().double, other.plug(sr.ref));
  }

  test('without a fence, what a frozen host has not written yet lands when it thaws', async () => {
    await sector.isWrittenOn();
    const freeze = await lab().faults.begin(frozen(lab().host(1)));
    expect((await sector.put('ours')).code).toBe(0);
    expect(await sector.seen()).toBe('ours');
    await lab().faults.end(freeze);
    await expect.poll(() => sector.seen(), { timeout: 60_000 }).toMatch(/^number /);
    await sector.isLeft({ stop: true });
  });

  test('a frozen host is fenced by its client, proven; no late write lands; mapped anew it is back, without unfencing', async () => {
    await sector.isWrittenOn();
    const freeze = await lab().faults.begin(frozen(lab().host(1)));
    const { code, stdout, stderr } = await rbdsr('fence', lab().host(1).uuid);
    expect(stdout + stderr).toMatch(/: proven\. Whatever serves it goes by epoch [0-9]+ \(osd\.0, osd\.1, osd\.2\)/);
    expect(code).toBe(0);
    expect((await sector.put('ours')).code).toBe(0);
    await lab().faults.end(freeze);
    await sector.isLeft();
    expect(await sector.seen()).toBe('ours');
    expect((await sector.put('theirs', 1)).code).not.toBe(0);
    expect(await sector.seen()).toBe('ours');
    // The first host goes on.
    expect((await sector.put('ours again')).code).toBe(0);
    const fences = await rbdsr('fences');
    expect(fences.stdout).toMatch(
      new RegExp(`${lab().host(1).links?.cluster.there ?? ''}:0/[0-9]+ .*${lab().host(1).name}`),
    );
    await mappedAnew();
    expect((await sector.put('back', 1)).code).toBe(0);
    expect(await sector.seen()).toBe('back');
  });

  test('an OSD that is up and does not answer is named, and the same command proves it afterwards', async () => {
    const { cluster } = lab();
    const { id } = await cluster.imageInfo('rbd/fenced');
    const busy = await Promise.all(['rbd_id.fenced', `rbd_header.${id}`].map((object) => primaryOf(object)));
    const idle = [0, 1, 2].find((osd) => !busy.includes(osd));
    const freeze = await lab().faults.begin(frozenDaemon(cluster, `osd.${idle}`));
    const first = await rbdsr('fence', lab().host(1).uuid, '--deadline', '15');
    expect(first.stdout + first.stderr).toContain(`NOT PROVEN: osd.${idle} did not answer`);
    expect(first.code).toBe(1);
    await lab().faults.end(freeze);
    const again = await rbdsr('fence', lab().host(1).links?.cluster.there ?? '', '--address');
    expect(again.stdout + again.stderr).toContain(': proven.');
    expect(again.code).toBe(0);
  });

  test('a whole address keeps the host out until it is taken back', async () => {
    await pbdUnplug(lab().double, other.plug(sr.ref));
    await failure(pbdPlug(lab().double, other.plug(sr.ref)));
    const { code, stdout, stderr } = await rbdsr('unfence', lab().host(1).uuid);
    expect(stdout + stderr).toContain(`${lab().host(1).links?.cluster.there ?? ''}:0/0`);
    expect(code).toBe(0);
    await pbdPlug(lab().double, other.plug(sr.ref));
    expect((await sector.put('back', 1)).code).toBe(0);
  });

  test('an SR grows on every host; a frozen one is named, and takes note when it thaws', async () => {
    const sizes = (): Promise<string[]> =>
      Promise.all([0, 1].map((host) => lab().host(host).shell('cat /sys/bus/rbd/devices/0/size')));
    const { code, stdout, stderr } = await rbdsr('grow', sr.uuid, '--size', '1G');
    expect(code, stdout + stderr).toBe(0);
    expect((await sizes()).map(Number)).toEqual([2 ** 30, 2 ** 30]);
    const vg = `vgs ${LVM_CONFIG} --noheadings --units m --nosuffix -o vg_size VG_XenStorage-${sr.uuid}`;
    expect(Number(await lab().host(0).shell(vg))).toBeGreaterThan(1000);
    const freeze = await lab().faults.begin(frozen(lab().host(1)));
    const named = await rbdsr('grow', sr.uuid, '--size', '2G');
    expect(named.stdout).toContain(
      `Did not answer the cluster in time: ${lab().host(1).links?.cluster.there ?? ''}:0/`,
    );
    expect(named.stdout).toContain(`Has not taken note: ${lab().host(1).name}`);
    expect(named.code).toBe(1);
    expect(Number(await lab().host(0).shell(vg))).toBeGreaterThan(2000);
    await lab().faults.end(freeze);
    await expect.poll(async () => (await sizes()).map(Number), { timeout: 90_000 }).toEqual([2 ** 31, 2 ** 31]);
  });

  async function primaryOf(object: string): Promise<number> {
    const text = await lab().cluster.tool('ceph', 'osd', 'map', 'rbd', object, '--format', 'json');
    return (JSON.parse(text) as { acting_primary: number }).acting_primary;
  }
}
