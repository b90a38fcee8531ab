import { beforeAll, expect, test } from 'vitest';
import { RecordWriter } from '../../../lab/blkback-double/record-writer.ts';
import type { Written } from '../../../lab/blkback-double/records.ts';
import { ALL_THERE, verifyRecords } from '../../../lab/blkback-double/verify-records.ts';
import { DRIVER } from '../../../lab/hosts/install.ts';
import { type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { srScan } from '../../../lab/xapi-double/sr-operations.ts';
import {
  vdiActivate,
  vdiAttach,
  vdiCreate,
  vdiDeactivate,
  vdiDestroy,
  vdiDetach,
  vdiResize,
} from '../../../lab/xapi-double/vdi-operations.ts';
import { attach, detach, type Lab, makeSr } from '../scenario.ts';
import { failure } from '../../support/xapi-failure.ts';
import {
  diskUser,
  LVM_CONFIG,
  leftOn,
  metadataOf,
  onVolume,
  readNoise,
  soundContent,
  type SrId,
  volumesOf,
  writeNoise,
} from './storage.ts';

const MiB = 1024 * 1024;
/** LVHD: 4 MiB of metadata, 4 KiB for each block, whole extents. MiB. */
const FULL_VHD_OF_16 = 24;
const EMPTY_VHD = 8;
/** For tests of many calls: under emulation each takes as long as its LVM commands, several seconds. */
const SLOW = { timeout: 900_000 };

/** The life of single disks: what is written stays, sizes change, kinds differ, calls repeat. */
export function disks(lab: Lab): void {
  let sr: SrId & { readonly ref: string };

  beforeAll(async () => {
    sr = await makeSr(lab(), 'disks', 512);
  });

  const create = (mib: number, more: Partial<Parameters<typeof vdiCreate>[1]> = {}): Promise<Row> =>
    vdiCreate(lab().double, { sr: sr.ref, virtualSize: mib * MiB, ...more });
  const recordedUuids = (): string[] =>
    lab()
      .double.db.where('VDI', 'SR', sr.ref)
      .map((row) => stringOf(row, 'uuid'));
  const lvOf = (vdi: Row): string => `VHD-${stringOf(vdi, 'uuid')}`;

  test(
    'the server of a disk is killed under a writer: every flushed record is there for another host, and the VHD is sound',
    SLOW,
    async () => {
      const pool = lab();
      const vdi = await create(64);
      const device = await attach(pool, 0, vdi);
      const writer = await RecordWriter.start(await diskUser(pool), device);
      expect(writer.device.cache).toBe(true);
      await writer.hasFlushed(200);
      await pool.host(0).shell("pkill -KILL '^rbdsr nbd'");
      // Each request that was under way is told as failed, none as done that was not.
      const { failures } = await writer.ended();
      expect(failures.length).toBeGreaterThan(0);
      for (const { failed, error } of failures) expect(`${failed}: ${error}`).toMatch(/^\w+: Input\/output error$/);

      const check = [DRIVER, 'vhd', 'check', '--in-use', `/dev/VG_XenStorage-${sr.uuid}/${lvOf(vdi)}`];
      expect(await pool.host(0).check(check)).toMatch(/sound/);
      // The call says once that the server ended with something in hand; again releases the disk.
      expect((await failure(detach(pool, 0, vdi))).message).toMatch(/data may be lost/);
      await detach(pool, 0, vdi);
      const elsewhere = await attach(pool, 1, vdi);
      expect(await verifyRecords(await diskUser(pool, 1), elsewhere, writer.written)).toMatchObject(ALL_THERE);
      await detach(pool, 1, vdi);
      expect(await onVolume(pool, sr, lvOf(vdi), `${DRIVER} vhd check "$1"`)).toMatch(/sound/);
      await vdiDestroy(pool.double, vdi.ref);
    },
  );

  test(
    'a disk whose changes the stock driver has tracked is used on another host: its log goes first',
    SLOW,
    async () => {
      const pool = lab();
      const vdi = await create(16);
      const log = `${stringOf(vdi, 'uuid')}.cbtlog`;
      const made = `lvcreate ${LVM_CONFIG} -qqy -an -Zn -n ${log} -L 4M --addtag cbtlog VG_XenStorage-${sr.uuid}`;
      await pool.host(0).shell(`${made} >&2`);
      await onVolume(pool, sr, log, 'dd if=/dev/zero of="$1" bs=4M count=1 oflag=direct 2>/dev/null');
      await srScan(pool.double, sr.ref);
      expect(vdi.fields['cbt_enabled']).toBe(true);
      await attach(pool, 1, vdi);
      expect([...(await volumesOf(pool, sr)).keys()]).not.toContain(log);
      expect(vdi.fields['cbt_enabled']).toBe(false);
      await detach(pool, 1, vdi);
      await vdiDestroy(pool.double, vdi.ref);
    },
  );

  test('a disk goes from host to host and its writer with it: each finds the records of the one before, and goes on', async () => {
    const pool = lab();
    const vdi = await create(64);
    let written: Written | undefined;
    for (const host of [0, 1, 0]) {
      const device = await attach(pool, host, vdi);
      const user = await diskUser(pool, host);
      if (written !== undefined) expect(await verifyRecords(user, device, written)).toMatchObject(ALL_THERE);
      // Fewer places than records, so that later hosts write over what earlier ones wrote.
      const writer = await RecordWriter.start(
        user,
        device,
        written === undefined ? { slots: 500 } : { after: written },
      );
      await writer.hasFlushed((written?.flushed ?? 0) + 400);
      expect(await writer.stop()).toMatchObject({ failures: [], ended: true });
      written = writer.written;
      await detach(pool, host, vdi);
    }
    expect(await onVolume(pool, sr, lvOf(vdi), `${DRIVER} vhd check "$1"`)).toMatch(/sound/);
    await vdiDestroy(pool.double, vdi.ref);
  });

  test('a disk grows: its content stays and its user sees the new size; it never shrinks', async () => {
    const pool = lab();
    const vdi = await create(16);
    const written = await writeNoise(pool, await attach(pool, 0, vdi), 5);
    const whileUsed = await failure(vdiResize(pool.double, vdi.ref, 40 * MiB));
    expect(whileUsed.code).toBe('VDI_IN_USE');
    await detach(pool, 0, vdi);

    await vdiResize(pool.double, vdi.ref, 40 * MiB);
    expect(vdi.fields['virtual_size']).toBe(40 * MiB);
    const device = await attach(pool, 1, vdi);
    const user = await diskUser(pool, 1);
    expect((await pool.host(1).check(['blockdev', '--getsize64', device])).trim()).toBe(String(40 * MiB));
    expect(await readNoise(pool, device, 5, 1)).toBe(written);
    await user.put(device, Buffer.from('last\n'.padEnd(512, '\0')), 40 * MiB - 512);
    expect((await user.get(device, 512, 40 * MiB - 512)).split('\n')[0]).toBe('last');
    await detach(pool, 1, vdi);

    const shrunk = await failure(vdiResize(pool.double, vdi.ref, 16 * MiB));
    expect(shrunk.backendNumber).toBe(79);
    expect(shrunk.message).toMatch(/cannot be made smaller/);
    expect(vdi.fields['virtual_size']).toBe(40 * MiB);
    await vdiDestroy(pool.double, vdi.ref);
  });

  test('a raw disk is its volume, from creation to deletion', async () => {
    const pool = lab();
    const vdi = await create(10, { smConfig: { type: 'raw' } });
    const lv = `LV-${stringOf(vdi, 'uuid')}`;
    expect((await volumesOf(pool, sr)).get(lv)).toEqual({ sizeMiB: 12, active: false });
    expect(vdi.fields['virtual_size']).toBe(12 * MiB);
    const written = await writeNoise(pool, await attach(pool, 0, vdi), 3);
    await detach(pool, 0, vdi);
    expect(await onVolume(pool, sr, lv, 'head -c 3M "$1" | md5sum')).toBe(written.trimEnd());

    await vdiResize(pool.double, vdi.ref, 20 * MiB);
    expect((await volumesOf(pool, sr)).get(lv)).toEqual({ sizeMiB: 20, active: false });
    const device = await attach(pool, 1, vdi);
    expect((await pool.host(1).check(['blockdev', '--getsize64', device])).trim()).toBe(String(20 * MiB));
    expect(await readNoise(pool, device, 3, 1)).toBe(written);
    await detach(pool, 1, vdi);
    await vdiDestroy(pool.double, vdi.ref);
    expect((await volumesOf(pool, sr)).has(lv)).toBe(false);
  });

  test('two hosts read one disk at a time; whoever would write has to wait for both', SLOW, async () => {
    const pool = lab();
    const vdi = await create(16);
    const written = await writeNoise(pool, await attach(pool, 0, vdi), 2);
    const busy = await failure(attach(pool, 1, vdi, false));
    expect(busy.backendNumber).toBe(46);
    expect(busy.message).toContain('host1');
    await detach(pool, 0, vdi);
    await vdiDetach(pool.double, pool.hostRef(1), vdi.ref);

    const [here, there] = [await attach(pool, 0, vdi, false), await attach(pool, 1, vdi, false)];
    expect(await readNoise(pool, here, 2, 0)).toBe(written);
    expect(await readNoise(pool, there, 2, 1)).toBe(written);
    for (const [index, device] of [here, there].entries()) {
      expect((await pool.host(index).exec(['dd', 'if=/dev/zero', `of=${device}`, 'bs=512', 'count=1'])).code).not.toBe(
        0,
      );
    }
    await detach(pool, 0, vdi);
    const writer = await failure(attach(pool, 0, vdi, true));
    expect(writer.backendNumber).toBe(46);
    expect(writer.message).toContain('host2');
    await vdiDetach(pool.double, pool.hostRef(0), vdi.ref);
    await detach(pool, 1, vdi);
    await vdiDestroy(pool.double, vdi.ref);
  });

  test('each call that is made again finds its work done', async () => {
    const pool = lab();
    const { double } = pool;
    const vdi = await create(16);
    const host = pool.hostRef(0);
    const answers: unknown[] = [];
    for (const _turn of [1, 2]) answers.push(await vdiAttach(double, host, vdi.ref, { writable: true }));
    expect(answers[0]).toEqual(answers[1]);
    for (const _turn of [1, 2]) await vdiActivate(double, host, vdi.ref, { writable: true });
    const device = (answers[0] as { params: string }).params;
    const written = await writeNoise(pool, device, 2);
    await vdiActivate(double, host, vdi.ref, { writable: true });
    expect(await readNoise(pool, device, 2)).toBe(written);
    expect(await pool.host(0).shell("pgrep -c '^rbdsr nbd'")).toBe('1\n');
    for (const _turn of [1, 2]) await vdiDeactivate(double, host, vdi.ref);
    for (const _turn of [1, 2]) await vdiDetach(double, host, vdi.ref);
    expect((await volumesOf(pool, sr)).get(lvOf(vdi))).toEqual({ sizeMiB: FULL_VHD_OF_16, active: false });
    expect(Object.keys(vdi.fields['sm_config'] as object).filter((key) => key.startsWith('host_'))).toEqual([]);
    await vdiDestroy(double, vdi.ref);
  });

  test('a disk that is too large, and one there is no room for, leave nothing behind', async () => {
    const pool = lab();
    const before = [await volumesOf(pool, sr), recordedUuids(), (await metadataOf(pool, sr)).vdis];
    const huge = await failure(vdiCreate(pool.double, { sr: sr.ref, virtualSize: 3 * 1024 * 1024 * MiB }));
    expect(huge.backendNumber).toBe(79);
    for (const smConfig of [{}, { type: 'raw' }]) {
      const full = await failure(create(4096, { smConfig }));
      expect(full.backendNumber).toBe(44);
      expect(full.message).toMatch(/no room .*4 GiB.*Delete disks or grow the RBD image/s);
    }
    const small = await create(16);
    const grown = await failure(vdiResize(pool.double, small.ref, 4096 * MiB));
    expect(grown.backendNumber).toBe(44);
    expect(small.fields['virtual_size']).toBe(16 * MiB);
    await vdiDestroy(pool.double, small.ref);
    const after = [await volumesOf(pool, sr), recordedUuids(), (await metadataOf(pool, sr)).vdis];
    expect(after).toEqual(before);
  });

  test('a name may hold whatever xapi allows, and comes back from the disk', SLOW, async () => {
    const pool = lab();
    for (const { ref } of pool.double.db.where('VDI', 'SR', sr.ref)) await vdiDestroy(pool.double, ref);
    const wanted = new Map<string, { nameLabel: string; nameDescription: string }>();
    for (const name of AWKWARD_NAMES) {
      const names = { nameLabel: name, nameDescription: `about ${name}` };
      const vdi = await create(2, names);
      // Stock's reader drops white space at the ends, so ours does (docs/on-disk.md).
      wanted.set(stringOf(vdi, 'uuid'), { nameLabel: name.trim(), nameDescription: names.nameDescription.trim() });
    }
    const names = (rows: readonly { uuid: string; nameLabel: string; nameDescription: string }[]): typeof wanted =>
      new Map(rows.map(({ uuid, nameLabel, nameDescription }) => [uuid, { nameLabel, nameDescription }]));
    expect(names((await metadataOf(pool, sr)).vdis)).toEqual(wanted);

    for (const { ref } of pool.double.db.where('VDI', 'SR', sr.ref)) pool.double.db.destroy('VDI', ref);
    await srScan(pool.double, sr.ref);
    const records = pool.double.db.where('VDI', 'SR', sr.ref);
    const fromXapi = records.map((row) => ({
      uuid: stringOf(row, 'uuid'),
      nameLabel: stringOf(row, 'name_label'),
      nameDescription: stringOf(row, 'name_description'),
    }));
    expect(names(fromXapi)).toEqual(wanted);
    expect(await pool.host(0).shell('ls /tmp/rbdsr-was-here 2>/dev/null || true')).toBe('');
    for (const { ref } of records) await vdiDestroy(pool.double, ref);
    expect((await metadataOf(pool, sr)).vdis).toEqual([]);
  });

  test('what is no XML, such as U+FFFE in a name, is refused and leaves nothing', async () => {
    const before = await volumesOf(lab(), sr);
    const error = await failure(create(2, { nameLabel: 'not \uFFFE a character' }));
    expect(error.backendNumber).toBe(143);
    expect(await volumesOf(lab(), sr)).toEqual(before);
  });

  test('a thin disk has its full size only while somebody may write to it', SLOW, async () => {
    const pool = lab();
    const thin = await makeSr(pool, 'thin', 256, { allocation: 'thin' });
    const vdi = await vdiCreate(pool.double, { sr: thin.ref, virtualSize: 16 * MiB });
    const size = async (): Promise<number | undefined> => (await volumesOf(pool, thin)).get(lvOf(vdi))?.sizeMiB;
    expect(await size()).toBe(EMPTY_VHD);
    const device = await attach(pool, 0, vdi);
    expect(await size()).toBe(FULL_VHD_OF_16);
    const written = await writeNoise(pool, device, 3);
    await detach(pool, 0, vdi);
    // Two blocks of 2 MiB behind 4 MiB of metadata and the footer.
    expect(await size()).toBe(12);

    const elsewhere = await attach(pool, 1, vdi, false);
    expect(await readNoise(pool, elsewhere, 3, 1)).toBe(written);
    expect(await size()).toBe(12);
    await detach(pool, 1, vdi);

    // A slave asks the master, which alone changes LVM metadata.
    const writable = await attach(pool, 1, vdi);
    expect(await size()).toBe(FULL_VHD_OF_16);
    const more = await writeNoise(pool, writable, 5, 1);
    await detach(pool, 1, vdi);
    expect(await size()).toBe(12);
    expect(await soundContent(pool, thin, vdi, 5)).toBe(more.trimEnd());
    await vdiDestroy(pool.double, vdi.ref);
  });

  test('nothing of all that is left on the hosts', async () => {
    const pool = lab();
    for (const index of pool.hosts.keys()) {
      const rest = (await leftOn(pool, index)).split('\n').filter((line) => !/^(mapping|volume .*-MGT$|$)/.test(line));
      expect(rest).toEqual([]);
    }
    expect(pool.double.offences).toEqual([]);
  });
}

const AWKWARD_NAMES = [
  `--'"; touch /tmp/rbdsr-was-here; "'$(touch /tmp/rbdsr-was-here)\`touch /tmp/rbdsr-was-here\``,
  '<vdi>&amp;</name_label>]]><!-- %s %n ../../etc/passwd\\',
  ' two\nlines\tand a tab ',
  'Überraschung — 磁盘 🚀',
  '',
];
