import { beforeAll, expect, test } from 'vitest';
import { pbdPlug, pbdUnplug } from '../../../lab/xapi-double/pbd-operations.ts';
import { srDestroy, srScan, unplugAll } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDestroy } from '../../../lab/xapi-double/vdi-operations.ts';
import { stringOf } from '../../../lab/xapi-double/database.ts';
import { DRIVER } from '../../../lab/hosts/install.ts';
import { explained, mapByHand, mappingsOf, pbdOf, unmapByHand } from './mappings.ts';
import { type Lab, makeSr } from '../scenario.ts';
import { failure } from '../../support/xapi-failure.ts';
import { volumesOf } from './storage.ts';

const MiB = 1024 * 1024;
const CRASH = { RBDSR_FAULT: 'ceph.map.after-add' };

/** One image, one mapping, on every way to it and away from it. */
export function mapping(lab: Lab): void {
  let sr: { ref: string; uuid: string };
  let second: { ref: string; uuid: string };

  beforeAll(async () => {
    sr = await makeSr(lab(), 'map-1');
    second = await makeSr(lab(), 'map-2');
  });

  async function unplugEverywhere(...srs: readonly { ref: string }[]): Promise<void> {
    for (const { ref } of srs) await unplugAll(lab().double, ref);
  }

  test('two hosts plug two SRs, all at once', async () => {
    const pool = lab();
    await unplugEverywhere(sr, second);
    for (const host of pool.hosts.keys()) expect(await mappingsOf(pool, host)).toEqual([]);
    const pbds = [sr, second].flatMap(({ ref }) => [...pool.hosts.keys()].map((host) => pbdOf(pool, ref, host)));
    await Promise.all(pbds.map((pbd) => pbdPlug(pool.double, pbd)));
    for (const host of pool.hosts.keys()) {
      const names = (await mappingsOf(pool, host)).map(({ name }) => name).sort();
      expect(names).toEqual(['rbd//map-1@-', 'rbd//map-2@-']);
      expect(await explained(pool, host)).toMatchObject({ code: 0 });
    }
    await unplugEverywhere(second);
  });

  test('a plug that dies between mapping and the next step is finished by the next plug', async () => {
    const pool = lab();
    const pbd = pbdOf(pool, sr.ref);
    await pbdUnplug(pool.double, pbd);
    await pool.withDriverEnvironment(CRASH, () => failure(pbdPlug(pool.double, pbd)));
    const left = await mappingsOf(pool);
    expect(left.map(({ name }) => name)).toEqual(['rbd//map-1@-']);
    const { code, text } = await explained(pool);
    expect(code).toBe(1);
    expect(text).toMatch(new RegExp(`SR ${sr.uuid}, which is not plugged .*The next plug adopts it`));
    await pbdPlug(pool.double, pbd);
    expect(await mappingsOf(pool)).toEqual(left);
    expect(await explained(pool)).toMatchObject({ code: 0 });
    // The key is neither in the line that everybody can read nor in a keyring any more.
    expect(left[0]?.line).toMatch(/key=rbdsr-/);
    expect(left[0]?.line).not.toContain('secret');
    expect((await pool.host(0).exec(['grep', 'rbdsr-', '/proc/keys'])).stdout).toBe('');
    await srScan(pool.double, sr.ref);
  });

  test.each([
    ['a process that has the image open', 'exec 9<$device; exec sleep 10000', /pid \d+ \(sleep\)/],
    [
      'a process that has a disk of it open',
      `lvchange --config 'devices{types=["rbd",16]}' -ay $disk; exec 9</dev/$disk; exec sleep 10000`,
      /VHD-\S+ \(pid \d+ \(sleep\)\)/,
    ],
    [
      'a device that is built on it',
      'echo "0 8 linear $device 0" | dmsetup create built-on-it',
      /dm-\d+ \(built-on-it\)/,
    ],
  ])('a detach fails because of %s, names it and changes nothing', async (_what, script, named) => {
    const pool = lab();
    const pbd = pbdOf(pool, sr.ref);
    const vdi = await vdiCreate(pool.double, { sr: sr.ref, virtualSize: 8 * MiB });
    const before = await mappingsOf(pool);
    const setup = `device=/dev/rbd${before[0]?.index}
      disk=VG_XenStorage-${sr.uuid}/VHD-${stringOf(vdi, 'uuid')}`;
    await pool.host(0).shell(
      `${setup}
       (${script}) </dev/null >/dev/null 2>&1 & holder=$!
       echo $holder >/tmp/holder
       until grep -qx sleep /proc/$holder/comm 2>/dev/null || dmsetup info built-on-it >/dev/null 2>&1; do sleep 0.1; done`,
    );

    const active = await volumesOf(pool, sr);
    const { message } = await failure(pbdUnplug(pool.double, pbd));
    expect(message).toMatch(named);
    expect(message).toMatch(/in use/);
    expect(await mappingsOf(pool)).toEqual(before);
    expect(await volumesOf(pool, sr)).toEqual(active);
    await srScan(pool.double, sr.ref);

    await pool.host(0).shell('dmsetup remove built-on-it 2>/dev/null || kill $(cat /tmp/holder); udevadm settle');
    await pbdUnplug(pool.double, pbd);
    expect(await mappingsOf(pool)).toEqual([]);
    await pbdPlug(pool.double, pbd);
    await vdiDestroy(pool.double, vdi.ref);
  });

  test('a mapping made by hand is explained, adopted by a plug, and removed where no SR stands on it', async () => {
    const pool = lab();
    const pbd = pbdOf(pool, sr.ref);
    await pbdUnplug(pool.double, pbd);
    await pool.cluster.createImage('rbd/map-stray', { sizeMiB: 64 });
    const [own, stray] = [await mapByHand(pool, { image: 'map-1' }), await mapByHand(pool, { image: 'map-stray' })];
    const { code, text } = await explained(pool);
    expect(code).toBe(1);
    expect(text).toMatch(new RegExp(`${own} is image rbd/map-1 .*The next plug adopts it`));
    expect(text).toMatch(
      new RegExp(`${stray} is image rbd/map-stray .*no SR of this host stands on.*rbdsr unmap ${stray}`),
    );
    expect(text).not.toContain(await pool.cluster.userKey('admin'));
    const before = await mappingsOf(pool);
    await pbdPlug(pool.double, pbd);
    expect(await mappingsOf(pool)).toEqual(before);
    expect((await pool.host(0).exec([DRIVER, 'unmap', own])).code).not.toBe(0);
    await pool.host(0).check([DRIVER, 'unmap', stray]);
    expect(await explained(pool)).toMatchObject({ code: 0 });
    await pool.cluster.removeImage('rbd/map-stray');
  });

  test('an image is told from all that look like it: other pool, namespace, snapshot, a longer name', async () => {
    const pool = lab();
    const { cluster } = pool;
    await unplugEverywhere(sr);
    await cluster.createPool('other');
    await cluster.tool('rbd', 'namespace', 'create', 'rbd/space');
    for (const spec of ['other/map-1', 'rbd/space/map-1', 'rbd/map-10'])
      await cluster.createImage(spec, { sizeMiB: 64 });
    await cluster.tool('rbd', 'snap', 'create', '--no-progress', 'rbd/map-1@before');
    const alike = [
      { image: 'map-10' },
      { image: 'map-1', pool: 'other' },
      { image: 'map-1', namespace: 'space' },
      { image: 'map-1', snapshot: 'before' },
    ];
    const devices: string[] = [];
    for (const image of alike) devices.push(await mapByHand(pool, image));
    const before = await mappingsOf(pool);

    await pbdPlug(pool.double, pbdOf(pool, sr.ref));
    const fresh = (await mappingsOf(pool)).filter(({ index }) => !before.some((other) => other.index === index));
    expect(fresh.map(({ name }) => name)).toEqual(['rbd//map-1@-']);
    const vdi = await vdiCreate(pool.double, { sr: sr.ref, virtualSize: 8 * MiB });
    await vdiDestroy(pool.double, vdi.ref);
    await pbdUnplug(pool.double, pbdOf(pool, sr.ref));
    expect(await mappingsOf(pool)).toEqual(before);

    for (const device of devices) await unmapByHand(pool, device);
    await cluster.tool('rbd', 'snap', 'rm', '--no-progress', 'rbd/map-1@before');
    for (const spec of ['rbd/space/map-1', 'rbd/map-10']) await cluster.removeImage(spec);
    await cluster.tool('rbd', 'namespace', 'remove', 'rbd/space');
    await cluster.tool('ceph', 'osd', 'pool', 'rm', 'other', 'other', '--yes-i-really-really-mean-it');
    await pbdPlug(pool.double, pbdOf(pool, sr.ref));
  });

  test('a kernel whose keyring is full gets the key in the line; nothing of ours shows it', async () => {
    const pool = lab();
    const limit = '/proc/sys/kernel/keys/root_maxkeys';
    const pbd = pbdOf(pool, sr.ref);
    await pbdUnplug(pool.double, pbd);
    await pool.host(0).shell(`cat ${limit} >/tmp/maxkeys; echo 1 >${limit}`);
    try {
      await pbdPlug(pool.double, pbd);
    } finally {
      await pool.host(0).shell(`cat /tmp/maxkeys >${limit}`);
    }
    const key = await pool.cluster.userKey('xen');
    expect((await mappingsOf(pool))[0]?.line).toContain(`secret=${key}`);
    const { text } = await explained(pool);
    const shown =
      text +
      (await pool.host(0).check([DRIVER, 'mappings', '--json'])) +
      (await pool.host(0).shell('cat /var/log/SMlog'));
    expect(shown).toContain('map-1');
    expect(shown).not.toContain(key);
    await pbdUnplug(pool.double, pbd);
    await pbdPlug(pool.double, pbd);
  });

  test('a kernel that gives each image a major number of its own: the whole life of an SR', async () => {
    const pool = lab();
    await unplugEverywhere(sr, second);
    const reload = (value: string): Promise<string> =>
      pool.host(0).shell(`modprobe -r rbd; modprobe rbd single_major=${value}; ls /sys/bus/rbd`);
    expect(await reload('N')).not.toContain('add_single_major');
    try {
      const whole = await makeSr(pool, 'map-life');
      const vdi = await vdiCreate(pool.double, { sr: whole.ref, virtualSize: 8 * MiB });
      await srScan(pool.double, whole.ref);
      await vdiDestroy(pool.double, vdi.ref);
      await unplugEverywhere(whole);
      await srDestroy(pool.double, whole.ref);
      expect(await mappingsOf(pool)).toEqual([]);
    } finally {
      expect(await reload('Y')).toContain('add_single_major');
    }
  });
}
