import { expect, test } from 'vitest';
import { type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { vdiActivate, vdiAttach, vdiCreate, vdiDestroy } from '../../../lab/xapi-double/vdi-operations.ts';
import { srDestroy, unplugAll } from '../../../lab/xapi-double/sr-operations.ts';
import { killedAt } from '../../support/killed-at.ts';
import { attach, detach, type Lab, makeSr } from '../scenario.ts';
import { LVM_CONFIG, readNoise, soundContent, writeNoise } from './storage.ts';

const MiB = 1024 * 1024;

/**
 * A volume stays active on a host when nobody counts it any more, and the master gives what it leads to to another
 * volume.
 */
export function staleTable(lab: Lab): void {
  test('a device that a killed activation has left leads to old extents: activating reloads it, and another volume is not touched', async () => {
    const pool = lab();
    const sr = await makeSr(pool, 'stale', 256);
    const vdi = await vdiCreate(pool.double, { sr: sr.ref, virtualSize: 8 * MiB });
    const content = await writeNoise(pool, await attach(pool, 0, vdi), 5);
    await detach(pool, 0, vdi);

    const volume = `VG_XenStorage-${sr.uuid}/VHD-${stringOf(vdi, 'uuid')}`;
    const activate = (): Promise<void> => vdiActivate(pool.double, pool.hostRef(1), vdi.ref, { writable: true });
    const { params = '' } = await vdiAttach(pool.double, pool.hostRef(1), vdi.ref, { writable: true });
    await killedAt(
      pool.double,
      (environment, work) => pool.withDriverEnvironment(environment, work),
      'chain-activation.before-count',
      activate,
    );
    const table = (): Promise<string> => pool.host(1).shell(`dmsetup table /dev/${volume}`);
    const old = await table();
    await pool.host(0).shell(moved(volume));
    expect(await table()).toBe(old);
    const blocker = await md5OfBlocker(sr);

    await activate();
    expect(await table()).not.toBe(old);
    expect(await readNoise(pool, params, 5, 1)).toBe(content);
    const written = await writeNoise(pool, params, 5, 1);
    await detach(pool, 1, vdi);
    expect(await md5OfBlocker(sr)).toBe(blocker);
    expect(await soundContent(pool, sr, vdi, 5)).toBe(written.trimEnd());
    await removed(sr, vdi);
  });

  const md5OfBlocker = ({ uuid }: { readonly uuid: string }): Promise<string> =>
    lab().host(0).shell(`dd if=/dev/VG_XenStorage-${uuid}/blocker bs=4M iflag=direct 2>/dev/null | md5sum`);

  async function removed(sr: { readonly ref: string; readonly uuid: string }, vdi: Row): Promise<void> {
    await lab().host(0).shell(`udevadm settle; lvremove ${LVM_CONFIG} -qqf VG_XenStorage-${sr.uuid}/blocker`);
    await vdiDestroy(lab().double, vdi.ref);
    await unplugAll(lab().double, sr.ref);
    await srDestroy(lab().double, sr.ref);
  }
}

/**
 * The volume shrinks to its first extent, another one gets those behind it, and it grows again elsewhere, with its
 * content.
 */
function moved(volume: string): string {
  const [vg = ''] = volume.split('/');
  return `
lvchange ${LVM_CONFIG} -ay ${volume}
dd if=/dev/${volume} of=/run/copy bs=4M iflag=direct 2>/dev/null
extents=$(( $(stat -c %s /run/copy) / 4194304 ))
[ $extents -gt 1 ]
lvreduce ${LVM_CONFIG} -qqf -l 1 ${volume}
lvcreate ${LVM_CONFIG} -qqy -Wn -Zn -n blocker -l $((extents - 1)) ${vg}
dd if=/dev/urandom of=/dev/${vg}/blocker bs=4M oflag=direct iflag=fullblock count=$((extents - 1)) 2>/dev/null
lvextend ${LVM_CONFIG} -qq -l $extents ${volume}
dd if=/run/copy of=/dev/${volume} bs=4M oflag=direct conv=notrunc 2>/dev/null
rm /run/copy
udevadm settle
lvchange ${LVM_CONFIG} -an ${volume}`;
}
