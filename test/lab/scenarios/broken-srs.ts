import { beforeAll, expect, test } from 'vitest';
import type { Pool } from '../../../lab/pool.ts';
import { mapOf, type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdOn } from '../../../lab/xapi-double/driver.ts';
import { pbdPlug, pbdUnplug } from '../../../lab/xapi-double/pbd-operations.ts';
import {
  plugAll,
  srCreate,
  srDestroy,
  srForget,
  srIntroduce,
  srProbe,
  srScan,
  srUpdate,
  unplugAll,
} from '../../../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDestroy, vdiUpdate } from '../../../lab/xapi-double/vdi-operations.ts';
import { DRIVER } from '../../../lab/hosts/install.ts';
import { attach, configOf, detach, type Lab, makeSr } from '../scenario.ts';
import { failure } from '../../support/xapi-failure.ts';
import { leftOn, metadataOf, onVolume, readNoise, type SrId, volumesOf, writeNoise } from './storage.ts';

const MiB = 1024 * 1024;
/** Under emulation a call takes many seconds. */
const SLOW = { timeout: 900_000 };

/** SRs that are damaged, claimed twice, forgotten and found again. */
export function brokenSrs(lab: Lab): void {
  let sr: SrId & { readonly ref: string };
  let kept: Row;
  let written: string;

  beforeAll(async () => {
    const pool = lab();
    sr = await makeSr(pool, 'broken', 256);
    kept = await vdiCreate(pool.double, {
      sr: sr.ref,
      virtualSize: 16 * MiB,
      nameLabel: 'kept',
      nameDescription: 'what must survive',
    });
    written = await writeNoise(pool, await attach(pool, 0, kept), 2);
    await detach(pool, 0, kept);
  });

  const content = async (vdi: Row): Promise<string> => {
    const found = await readNoise(lab(), await attach(lab(), 0, vdi, false), 2);
    await detach(lab(), 0, vdi);
    return found;
  };
  const mgt = (): string => `/dev/VG_XenStorage-${sr.uuid}/MGT`;
  const plugAgain = async (host: number): Promise<void> => {
    const pbd = pbdOn(lab().double, sr.ref, lab().hostRef(host)).ref;
    await pbdUnplug(lab().double, pbd);
    await pbdPlug(lab().double, pbd);
  };

  test(
    'a VHD that loses header and footers while it is in use is let go; the scan names it and changes no record; it can be deleted',
    SLOW,
    async () => {
      const pool = lab();
      const broken = await vdiCreate(pool.double, { sr: sr.ref, virtualSize: 8 * MiB, nameLabel: 'broken' });
      const uuid = stringOf(broken, 'uuid');
      await attach(pool, 0, broken);
      await pool.host(0).shell(`set -- /dev/VG_XenStorage-${sr.uuid}/VHD-${uuid}; ${WITHOUT_HEADER}`);
      await detach(pool, 0, broken);
      // Once more: the server has written its footers when it ended.
      await onVolume(pool, sr, `VHD-${uuid}`, WITHOUT_HEADER);
      kept.fields['virtual_size'] = 4711;
      const before = recordsOf(pool, sr);

      const error = await failure(srScan(pool.double, sr.ref));
      expect(error.backendNumber).toBe(46);
      expect(error.message).toContain(uuid);
      expect(error.message).toMatch(/No record was changed.*rbdsr vhd check/s);
      expect(recordsOf(pool, sr)).toEqual(before);

      expect(await content(kept)).toBe(written);
      expect((await failure(attach(pool, 0, broken))).message).toContain(uuid);
      await detach(pool, 0, broken);
      await plugAgain(0);
      const [message] = pool.double.db.where('message', 'obj_uuid', sr.uuid);
      expect(message?.fields['name']).toBe('POST_ATTACH_SCAN_FAILED');
      expect(message?.fields['body']).toContain(uuid);

      await vdiDestroy(pool.double, broken.ref);
      await srScan(pool.double, sr.ref);
      expect(kept.fields['virtual_size']).toBe(16 * MiB);
      expect((await volumesOf(pool, sr)).has(`VHD-${uuid}`)).toBe(false);
    },
  );

  test(
    'a metadata volume full of garbage: disks work, writers refuse and name the command that mends it',
    SLOW,
    async () => {
      const pool = lab();
      await pool.host(0).shell(`dd if=/dev/urandom of=${mgt()} bs=4096 count=2 oflag=direct conv=notrunc 2>/dev/null`);
      for (const host of [0, 1]) await plugAgain(host);
      expect(await pool.host(0).shell('tail -n 200 /var/log/SMlog | grep -i "metadata"')).toMatch(
        new RegExp(`${sr.uuid}.*metadata`),
      );
      await srScan(pool.double, sr.ref);
      expect(await content(kept)).toBe(written);

      const volumes = await volumesOf(pool, sr);
      kept.fields['name_label'] = 'kept, renamed';
      const writers: readonly (() => Promise<unknown>)[] = [
        () => vdiCreate(pool.double, { sr: sr.ref, virtualSize: 2 * MiB }),
        () => vdiUpdate(pool.double, kept.ref),
        () => vdiDestroy(pool.double, kept.ref),
      ];
      for (const write of writers) {
        const error = await failure(write());
        expect(error.backendNumber).toBe(181);
        expect(error.message).toContain(`rbdsr mgt rebuild ${sr.uuid}`);
      }
      // xapi calls it with every scan, and scans for ever where it fails: totals and a warning.
      await srUpdate(pool.double, sr.ref);
      expect(await pool.host(0).shell('tail -n 20 /var/log/SMlog')).toContain(`rbdsr mgt rebuild ${sr.uuid}`);
      expect(await volumesOf(pool, sr)).toEqual(volumes);
      expect(await content(kept)).toBe(written);
    },
  );

  test('rbdsr mgt rebuild shows what it would write, then mends the live SR; the names are back', SLOW, async () => {
    const pool = lab();
    const [host, elsewhere] = [pool.host(0), pool.host(1)];
    const rebuild = [DRIVER, 'mgt', 'rebuild', sr.uuid];
    const damaged = await host.shell(`md5sum <${mgt()}`);
    const plan = await host.check([...rebuild, '--dry-run']);
    expect(plan).toMatch(/kept, renamed +xapi +no record/);
    expect(plan).toContain('Nothing was written (--dry-run).');
    expect(await host.shell(`md5sum <${mgt()}`)).toBe(damaged);
    const slave = await elsewhere.exec(rebuild);
    expect(slave.code).toBe(1);
    expect(slave.stderr).toContain('pool master');

    expect(await host.check(rebuild)).toContain('The metadata volume was written: 1 disks.');
    const { sr: shown, vdis, problems } = await metadataOf(pool, sr);
    expect(problems).toEqual([]);
    expect(shown['nameLabel']).toBe('broken');
    expect(vdis.map(({ nameLabel, nameDescription }) => [nameLabel, nameDescription])).toEqual([
      ['kept, renamed', 'what must survive'],
    ]);
    const another = await vdiCreate(pool.double, { sr: sr.ref, virtualSize: 2 * MiB, nameLabel: 'another' });
    await vdiDestroy(pool.double, another.ref);
    expect(await host.check(rebuild)).toContain('nothing was written');
  });

  test(
    'a second SR on the same image is refused, however it is asked for, and the first does not notice',
    SLOW,
    async () => {
      const pool = lab();
      const config = await configOf(pool, 'broken');
      const created = await failure(srCreate(pool.double, { type: 'rbd', deviceConfig: config }));
      expect(created.code).toBe('SR_DEVICE_IN_USE');
      expect(await pool.host(0).shell('tail -n 20 /var/log/SMlog')).toContain('belongs to another SR of this pool');

      const uuid = '22222222-3333-4444-8555-666666666666';
      const second = srIntroduce(pool.double, { type: 'rbd', deviceConfig: config, uuid });
      for (const error of await plugAll(pool.double, second.ref)) {
        expect((await failure(Promise.reject(error))).message).toContain(`VG_XenStorage-${uuid}`);
      }
      expect(pool.double.db.where('PBD', 'SR', second.ref).map(({ fields }) => fields['currently_attached'])).toEqual([
        false,
        false,
      ]);
      for (const host of [0, 1]) {
        expect(await readNoise(pool, await attach(pool, host, kept, false), 2, host)).toBe(written);
        await detach(pool, host, kept);
      }
      await srForget(pool.double, second.ref);
    },
  );

  test(
    'sr_probe with pool and image says what is on it, whether it is plugged or not, and leaves nothing mapped',
    SLOW,
    async () => {
      const pool = lab();
      await pool.cluster.createImage('rbd/unused', { sizeMiB: 128 });
      const probe = async (image: string): Promise<string> =>
        srProbe(pool.double, {
          type: 'rbd',
          deviceConfig: await configOf(pool, image),
          smConfig: { metadata: 'true' },
        });
      expect(await probe('unused')).toMatch(/<SRlist\s*\/>|<SRlist>\s*<\/SRlist>/);
      expect(await probe('broken')).toMatch(new RegExp(`<UUID>\\s*${sr.uuid}\\s*</UUID>`));
      await unplugAll(pool.double, sr.ref);
      const found = await probe('broken');
      expect(found).toMatch(new RegExp(`<UUID>\\s*${sr.uuid}\\s*</UUID>`));
      expect(found).toMatch(/<name_label>\s*broken\s*<\/name_label>/);
      for (const host of [0, 1]) expect(await leftOn(pool, host)).toBe('');
    },
  );

  test('an SR that was forgotten is introduced again, with its disks and their names', SLOW, async () => {
    const pool = lab();
    const before = recordsOf(pool, sr);
    await srForget(pool.double, sr.ref);
    const again = srIntroduce(pool.double, {
      type: 'rbd',
      deviceConfig: await configOf(pool, 'broken'),
      uuid: sr.uuid,
      nameLabel: 'broken',
    });
    expect(await plugAll(pool.double, again.ref)).toEqual([]);
    sr = { uuid: sr.uuid, ref: again.ref };
    expect(recordsOf(pool, sr)).toEqual(before);
    const [found] = pool.double.db.where('VDI', 'SR', again.ref);
    if (found === undefined) throw new Error('the disk is there');
    kept = found;
    expect(await content(kept)).toBe(written);
  });

  test('a user of one pool lists pools and images, on a host without ceph tools', async () => {
    const pool = lab();
    const { image: _image, pool: _pool, ...config } = await configOf(pool, '');
    const pools = await srProbe(pool.double, { type: 'rbd', deviceConfig: config });
    expect(pools).toMatch(/<Pool>\s*<Name>\s*rbd\s*<\/Name>/);
    const images = await srProbe(pool.double, { type: 'rbd', deviceConfig: { ...config, pool: 'rbd' } });
    expect(images).toMatch(new RegExp(`<Name>\\s*unused\\s*</Name>\\s*<Size>\\s*${128 * MiB}\\s*</Size>`));
    expect(images).toMatch(/<Name>\s*broken\s*<\/Name>/);
  });

  test('size= makes the image of an SR, with the layering feature only', SLOW, async () => {
    const pool = lab();
    const { sr: made, plugErrors } = await srCreate(pool.double, {
      type: 'rbd',
      deviceConfig: { ...(await configOf(pool, 'made')), size: '128MiB' },
    });
    expect(plugErrors).toEqual([]);
    expect(await pool.cluster.imageInfo('rbd/made')).toMatchObject({ size: 128 * MiB, features: ['layering'] });
    const vdi = await vdiCreate(pool.double, { sr: made.ref, virtualSize: 2 * MiB });
    expect(mapOf(vdi, 'sm_config')['vdi_type']).toBe('vhd');
    await vdiDestroy(pool.double, vdi.ref);
    await unplugAll(pool.double, made.ref);
    await srDestroy(pool.double, made.ref);
    expect((await pool.cluster.imageInfo('rbd/made')).size).toBe(128 * MiB);
    expect(pool.double.offences).toEqual([]);
  });

  test('data_pool= and object_size=: the data of the image that is made lie elsewhere', SLOW, async () => {
    const pool = lab();
    await pool.cluster.createPool('elsewhere');
    const caps = ['mon', 'profile rbd', 'osd', 'profile rbd pool=rbd, profile rbd pool=elsewhere'];
    const key = await pool.cluster.tool('ceph', 'auth', 'get-or-create-key', 'client.wide', ...caps);
    const config = { ...(await configOf(pool, 'apart')), user: 'wide', password: key.trim() };
    const { sr: made, plugErrors } = await srCreate(pool.double, {
      type: 'rbd',
      deviceConfig: { ...config, size: '128MiB', data_pool: 'elsewhere', object_size: '1MiB' },
    });
    expect(plugErrors).toEqual([]);
    expect(await pool.cluster.imageInfo('rbd/apart')).toMatchObject({ data_pool: 'elsewhere', object_size: MiB });
    const vdi = await vdiCreate(pool.double, { sr: made.ref, virtualSize: 2 * MiB });
    await vdiDestroy(pool.double, vdi.ref);
    await unplugAll(pool.double, made.ref);
    await srDestroy(pool.double, made.ref);
    await pool.cluster.removeImage('rbd/apart');
    expect(pool.double.offences).toEqual([]);
  });
}

/** The footer's copy, the header and the footer, all zero. */
const WITHOUT_HEADER = `dd if=/dev/zero of="$1" bs=512 count=3 oflag=direct conv=notrunc 2>/dev/null
dd if=/dev/zero of="$1" bs=512 count=1 seek=$(( $(blockdev --getsz "$1") - 1 )) oflag=direct conv=notrunc 2>/dev/null`;

/** xapi's records of the SR's disks, as far as they come from the disk. */
function recordsOf(pool: Pool, { ref }: { readonly ref: string }): unknown[] {
  const fields = [
    'uuid',
    'location',
    'name_label',
    'name_description',
    'virtual_size',
    'physical_utilisation',
    'managed',
  ];
  return pool.double.db
    .where('VDI', 'SR', ref)
    .map((row) => Object.fromEntries(fields.map((field) => [field, row.fields[field] ?? ''])));
}
