import { beforeAll, expect, test } from 'vitest';
import { srCreate } from '../../../lab/xapi-double/sr-operations.ts';
import type { XapiError } from '../../../lab/xapi-double/xapi-error.ts';

import { configOf, type Lab } from '../scenario.ts';
import { failure } from '../../support/xapi-failure.ts';
import type { Pool } from '../../../lab/pool.ts';

/**
 * What sr_create refuses on real components: the kernel's client, a real cluster, real LVM. Each refusal has its number
 * and says what to do, and leaves nothing mapped and no record behind.
 */
export function srRefusals(lab: Lab): void {
  let good: Record<string, string>;

  beforeAll(async () => {
    await lab().cluster.createImage('rbd/blank', { sizeMiB: 256 });
    await lab().cluster.createPool('closed');
    good = await configOf(lab(), 'blank');
  });

  function refusal(more: Record<string, string>): Promise<XapiError> {
    return failure(srCreate(lab().double, { type: 'rbd', deviceConfig: { ...good, ...more } }));
  }

  async function nothingIsLeft(): Promise<void> {
    for (const host of lab().hosts) expect(await host.shell('ls /sys/bus/rbd/devices')).toBe('');
    expect(lab().double.db.all('SR')).toEqual([]);
    expect(lab().double.db.all('PBD')).toEqual([]);
  }

  test.each([
    ['a wrong key', { password: 'AQBWrkFnAAAAABAAKVCdmlmPrDvRyxkXYsGAUA==' }, /key|denied|user/i],
    ['an unknown user', { user: 'nobody' }, /nobody|key|user/i],
    ['an unknown pool', { pool: 'no-such-pool' }, /no-such-pool/],
    ['an unknown image', { image: 'no-such-image' }, /no-such-image/],
    ['an image whose name the kernel cannot be told', { image: 'has space' }, /space/],
    ['a monitor that does not answer', { monitors: '10.66.0.250' }, /10\.66\.0\.250/],
    ['a key of device-config it does not know', { imgae: 'x' }, /imgae/],
    ['a size that no SR has room in', { image: 'absent', size: '1MiB' }, /too small/],
    ['size in a pool that the user may not use', { pool: 'closed', image: 'absent', size: '1GiB' }, /pool=closed/],
  ])('%s', async (_what, more, text) => {
    const error = await refusal(more);
    expect(error.message).toMatch(text);
    expect(error.message).not.toContain(String(good['password']));
    await nothingIsLeft();
  });

  test('features the kernel or the design refuses, with the command that disables them', async () => {
    await lab().cluster.createImage('rbd/exclusive', { sizeMiB: 256, features: 'layering,exclusive-lock' });
    const error = await refusal({ image: 'exclusive' });
    expect(error.message).toContain('rbd feature disable rbd/exclusive exclusive-lock');
    await nothingIsLeft();
  });

  test('an image that is too small', async () => {
    await lab().cluster.createImage('rbd/small', { sizeMiB: 16 });
    expect((await refusal({ image: 'small' })).message).toMatch(/too small/);
    await nothingIsLeft();
  });

  test('an image that holds a file system, and leaves it as it is', async () => {
    await lab().cluster.createImage('rbd/foreign', { sizeMiB: 64 });
    const before = await onImage(lab(), 'foreign', 'mkfs.ext4 -q "$1" && sha256sum <"$1"');
    const error = await refusal({ image: 'foreign' });
    expect(error.message).toMatch(/ext[234]/);
    await nothingIsLeft();
    expect(await onImage(lab(), 'foreign', 'sha256sum <"$1"')).toBe(before);
  });

  test("another SR's volume group, naming that SR", async () => {
    await lab().cluster.createImage('rbd/other', { sizeMiB: 256 });
    const other = '11111111-2222-4333-8444-555555555555';
    await onImage(lab(), 'other', `vgcreate -q --config 'devices{types=["rbd",16]}' VG_XenStorage-${other} "$1" >&2`);
    const error = await refusal({ image: 'other' });
    expect(error.message).toContain(other);
    await nothingIsLeft();
  });
}

/** Runs a script in dom0 on the image, mapped by hand as `$1`. */
async function onImage(pool: Pool, image: string, script: string): Promise<string> {
  const admin = await pool.cluster.userKey('admin');
  return pool.host(0).shell(
    `add=/sys/bus/rbd/add_single_major
     echo "${pool.cluster.monitors[0]} name=admin,secret=${admin} rbd ${image}" >$add
     udevadm settle
     set -- /dev/rbd$(ls /sys/bus/rbd/devices | tail -1)
     result=$( ${script} )
     echo "\${1#/dev/rbd}" >/sys/bus/rbd/remove_single_major
     printf %s "$result"`,
    { timeoutMs: 120_000 },
  );
}
