import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Row, stringOf } from '../../../lab/xapi-double/database.ts';
import { pbdOn } from '../../../lab/xapi-double/driver.ts';
import { pbdPlug, pbdUnplug } from '../../../lab/xapi-double/pbd-operations.ts';
import { attachFromConfig, detachFromConfig } from '../../../lab/xapi-double/static-vdis.ts';
import { vdiCreate, vdiGenerateConfig } from '../../../lab/xapi-double/vdi-operations.ts';
import { attach, configOf, detach, type Lab, makeSr } from '../scenario.ts';
import { failure } from '../../support/xapi-failure.ts';
import { leftOn, readNoise, type SrId, writeNoise } from './storage.ts';

const MiB = 1024 * 1024;
/** A slave: it has to do without the pool master as well. */
const HOST = 1;

/**
 * HA's state file and the metadata of the pool: disks that `static-vdis` attaches at boot, when no xapi is there to
 * ask.
 */
export function highAvailability(lab: Lab): void {
  let sr: SrId & { readonly ref: string };
  const disks: { readonly vdi: Row; readonly config: string; readonly kind: string }[] = [];

  beforeAll(async () => {
    const pool = lab();
    sr = await makeSr(pool, 'ha', 256);
    for (const kind of ['raw', 'vhd']) {
      const vdi = await vdiCreate(pool.double, { sr: sr.ref, virtualSize: 8 * MiB, smConfig: { type: kind } });
      disks.push({ vdi, kind, config: await vdiGenerateConfig(pool.double, pool.hostRef(HOST), vdi.ref) });
    }
    await pbdUnplug(pool.double, pbdOn(pool.double, sr.ref, pool.hostRef(HOST)).ref);
    await pool.host(HOST).shell('mv /var/lib/xcp/xapi /var/lib/xcp/xapi.away');
  });
  afterAll(async () => {
    await lab().host(HOST).shell('[ ! -e /var/lib/xcp/xapi.away ] || mv /var/lib/xcp/xapi.away /var/lib/xcp/xapi');
  });

  const attached = async ({ config }: { readonly config: string }): Promise<string> => {
    const info = await attachFromConfig(lab().double, lab().hostRef(HOST), 'rbd', config);
    const path = typeof info === 'string' ? info : info.params;
    if (path === undefined) throw new Error('vdi_attach_from_config named no device');
    return path;
  };
  const detached = ({ config }: { readonly config: string }): Promise<void> =>
    detachFromConfig(lab().double, lab().hostRef(HOST), 'rbd', config);

  test('the document says where the disk is and holds no key; the key lies in a file that only root reads', async () => {
    const { password = '' } = await configOf(lab(), 'ha');
    const keyring = `/etc/rbdsr/keys/${sr.uuid}.keyring`;
    for (const { vdi, config } of disks) {
      expect(config).toContain(stringOf(vdi, 'uuid'));
      expect(config).toContain(keyring);
      expect(config).not.toContain(password);
      expect(config).not.toMatch(/session_ref|password/);
    }
    const look = await lab().host(HOST).shell(`stat -c '%a %U' /etc/rbdsr/keys ${keyring}; cat ${keyring}`);
    expect(look).toBe(`700 root\n600 root\n[client.xen]\n\tkey = ${password}\n`);
  });

  test('without xapi and without the SR a raw disk and a VHD are attached, written, detached, and nothing is left', {
    timeout: 900_000,
  }, async () => {
    const pool = lab();
    const calls = pool.double.calls.length;
    expect(await leftOn(pool, HOST)).toBe('');
    const devices: string[] = [];
    for (const disk of disks) devices.push(await attached(disk));
    // At boot static-vdis may do it again.
    for (const [index, disk] of disks.entries()) expect(await attached(disk)).toBe(devices[index]);
    const written: string[] = [];
    for (const device of devices) written.push(await writeNoise(pool, device, 3, HOST));
    for (const [index, device] of devices.entries())
      expect(await readNoise(pool, device, 3, HOST)).toBe(written[index]);

    const [first, second] = disks;
    if (first === undefined || second === undefined) throw new Error('there are two disks');
    await detached(first);
    expect(await readNoise(pool, devices[1] ?? '', 3, HOST)).toBe(written[1]);
    await detached(second);
    await detached(second);
    expect(await leftOn(pool, HOST)).toBe('');
    expect(pool.double.calls.length).toBe(calls);

    for (const [index, { vdi }] of disks.entries()) {
      expect(await readNoise(pool, await attach(pool, 0, vdi, false), 3)).toBe(written[index]);
      await detach(pool, 0, vdi);
    }
  });

  test('when xapi is back it plugs the SR around the disk, which stays as it is', async () => {
    const pool = lab();
    const [disk] = disks;
    if (disk === undefined) throw new Error('there is a disk');
    const device = await attached(disk);
    const written = await writeNoise(pool, device, 2, HOST);
    await pool.host(HOST).shell('mv /var/lib/xcp/xapi.away /var/lib/xcp/xapi');
    const pbd = pbdOn(pool.double, sr.ref, pool.hostRef(HOST)).ref;
    await pbdPlug(pool.double, pbd);
    expect(await readNoise(pool, device, 2, HOST)).toBe(written);
    const busy = await failure(pbdUnplug(pool.double, pbd));
    expect(busy.message).toMatch(/in use/);
    expect(await readNoise(pool, device, 2, HOST)).toBe(written);
    await detached(disk);
    expect(await leftOn(pool, HOST)).toMatch(/^mapping \d+\n$/);
    await pbdUnplug(pool.double, pbd);
    expect(await leftOn(pool, HOST)).toBe('');
  });

  test('without the key file it says which file is missing', async () => {
    const [disk] = disks;
    if (disk === undefined) throw new Error('there is a disk');
    const keyring = `/etc/rbdsr/keys/${sr.uuid}.keyring`;
    await lab().host(HOST).shell(`rm ${keyring}`);
    expect((await failure(attached(disk))).message).toContain(keyring);
    expect(await leftOn(lab(), HOST)).toBe('');
    expect(lab().double.offences).toEqual([]);
  });
}
