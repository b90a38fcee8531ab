import { expect, test } from 'vitest';
import { mapOf, stringOf } from '../../../lab/xapi-double/database.ts';
import { srDestroy, unplugAll } from '../../../lab/xapi-double/sr-operations.ts';
import { vdiCreate, vdiDeactivate, vdiDestroy } from '../../../lab/xapi-double/vdi-operations.ts';
import { attach, detach, type Lab, makeSr } from '../scenario.ts';
import { failure } from '../../support/xapi-failure.ts';

const MiB = 1024 * 1024;

/**
 * The volume under a disk fails after the disk's last write, on the kernel's own NBD device: what was answered and not
 * flushed cannot be written.
 */
export function failedFlush(lab: Lab): void {
  test('a deactivation whose last flush fails fails and says so, and its mark stays until deactivating again', async () => {
    const pool = lab();
    const sr = await makeSr(pool, 'flush', 128);
    const vdi = await vdiCreate(pool.double, { sr: sr.ref, virtualSize: 8 * MiB });
    const volume = `/dev/VG_XenStorage-${sr.uuid}/VHD-${stringOf(vdi, 'uuid')}`;
    const mark = `host_${pool.hostRef(0)}`;
    const device = await attach(pool, 0, vdi);
    // A new block, whose place in the VHD is on the disk with the next flush.
    await pool.host(0).shell(`dd if=/dev/urandom of=${device} bs=4096 count=1 oflag=direct conv=notrunc 2>/dev/null`);
    const table = await pool.host(0).shell(`dmsetup table ${volume}`);
    await pool.host(0).shell(reloaded(volume, '0 $(blockdev --getsz "$1") error'));

    const error = await failure(vdiDeactivate(pool.double, pool.hostRef(0), vdi.ref));
    expect(error.message).toMatch(/could not write everything that it held: data may be lost/);
    expect(Object.keys(mapOf(vdi, 'sm_config'))).toContain(mark);

    await pool.host(0).shell(reloaded(volume, table.trim()));
    await detach(pool, 0, vdi);
    expect(Object.keys(mapOf(vdi, 'sm_config'))).not.toContain(mark);
    await attach(pool, 1, vdi);
    await detach(pool, 1, vdi);
    await vdiDestroy(pool.double, vdi.ref);
    await unplugAll(pool.double, sr.ref);
    await srDestroy(pool.double, sr.ref);
  });
}

/** From now on the device does that. */
function reloaded(volume: string, table: string): string {
  return `set -- ${volume}; dmsetup reload "$1" --table "${table}"; dmsetup suspend --noflush --nolockfs "$1"; dmsetup resume "$1"`;
}
