import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { mapOf, type Row, stringOf } from '../../../../lab/xapi-double/database.ts';
import { pbdPlug, pbdUnplug } from '../../../../lab/xapi-double/pbd-operations.ts';
import { srDestroy, unplugAll } from '../../../../lab/xapi-double/sr-operations.ts';
import {
  vdiActivate,
  vdiClone,
  vdiCreate,
  vdiDeactivate,
  vdiDestroy,
  vdiDetach,
} from '../../../../lab/xapi-double/vdi-operations.ts';
import { failure } from '../../../support/xapi-failure.ts';
import { OtherHost } from './other-host.ts';
import { attach, detach, type Lab, makeSr } from '../../scenario.ts';

const MiB = 1024 * 1024;
const HERE = 0;
const FENCED = 1;

/** A host that was fenced while disks were in use on it comes back without a reboot. */
export function fencedDisks(lab: Lab): void {
  let other: OtherHost;
  let sr: Awaited<ReturnType<typeof makeSr>>;
  /** In use on the host that is fenced: a disk with a parent, one that is only read; and on the other host. */
  let written: Row;
  let read: Row;
  let elsewhere: Row;
  let device: string;
  let block = 0;
  let deviceElsewhere: string;

  beforeAll(async () => {
    other = new OtherHost(lab);
    sr = await makeSr(lab(), 'let-go', 512);
    const create = (): Promise<Row> => vdiCreate(lab().double, { sr: sr.ref, virtualSize: 16 * MiB });
    [written, read, elsewhere] = [await create(), await create(), await create()];
    // From here on it hangs on a base.
    await vdiDestroy(lab().double, (await vdiClone(lab().double, written.ref)).ref);
    deviceElsewhere = await attach(lab(), HERE, elsewhere);
  });
  beforeEach(async () => {
    await attach(lab(), FENCED, read, false);
    device = await attach(lab(), FENCED, written);
    block += 1;
    expect(await write(FENCED, device)).toBe(0);
    other.live = false;
    const fence = await other.rbdsr('fence', lab().host(FENCED).uuid, '--although-in-use');
    expect(fence.stdout + fence.stderr).toContain(': proven.');
    other.live = true;
    // The other host goes on.
    expect(await write(HERE, deviceElsewhere)).toBe(0);
  });
  afterEach(async () => {
    expect(marksOf(elsewhere)).toEqual([HERE]);
    expect(await write(HERE, deviceElsewhere)).toBe(0);
    // It is back.
    device = await attach(lab(), FENCED, written);
    expect(await write(FENCED, device)).toBe(0);
    await detach(lab(), FENCED, written);
  });
  afterAll(async () => {
    await detach(lab(), HERE, elsewhere);
    for (const vdi of [written, read, elsewhere]) await vdiDestroy(lab().double, vdi.ref);
    await unplugAll(lab().double, sr.ref);
    await srDestroy(lab().double, sr.ref);
    await other.end();
  });

  const on = (host: number, script: string): Promise<string> => lab().host(host).shell(script);

  function marksOf(vdi: Row): readonly number[] {
    const keys = Object.keys(mapOf(vdi, 'sm_config'));
    return [HERE, FENCED].filter((host) => keys.includes(`host_${lab().hostRef(host)}`));
  }

  /** For the first time to a block of the VHD, whose place in it is on the disk with the next flush; the exit code. */
  async function write(host: number, path: string): Promise<number> {
    const script = `dd if=/dev/urandom of=${path} bs=2M count=1 seek=${block} oflag=direct conv=notrunc 2>/dev/null`;
    return (await lab().host(host).exec(['/bin/sh', '-c', script])).code;
  }

  const deactivated = (vdi: Row): Promise<void> => vdiDeactivate(lab().double, lab().hostRef(FENCED), vdi.ref);
  const activatedHere = (vdi: Row): Promise<void> =>
    vdiActivate(lab().double, lab().hostRef(HERE), vdi.ref, { writable: true });

  /** All that is left, as a PBD.unplug does. */
  async function letGo(): Promise<void> {
    for (const vdi of [written, read]) {
      await deactivated(vdi);
      await vdiDetach(lab().double, lab().hostRef(FENCED), vdi.ref);
    }
  }
  const volumes = (host: number): Promise<string> => on(host, 'dmsetup ls --noheadings | cut -f1 | sort');

  test('the disk that lost writes is told once, then everything is let go, and plugging brings the host back', async () => {
    const [nonce, before] = [await on(FENCED, NONCE), await volumes(HERE)];
    const lost = await failure(deactivated(written));
    expect(lost.message).toContain(`the last writes of VDI ${stringOf(written, 'uuid')} are lost`);
    expect(lost.message).toContain(`unplug and plug the PBD of SR ${sr.uuid} on this host`);
    expect(marksOf(written)).toEqual([FENCED]);
    expect((await failure(activatedHere(written))).message).toContain('data may be lost');
    // Nothing was written to it since the last flush.
    await deactivated(read);
    expect(marksOf(read)).toEqual([]);

    await letGo();
    expect(marksOf(written)).toEqual([]);
    expect(await on(FENCED, 'pgrep -c "^rbdsr nbd" || true')).toBe('0\n');
    expect(await volumes(FENCED)).not.toContain(stringOf(written, 'uuid').replaceAll('-', '--'));
    expect(await volumes(HERE)).toBe(before);

    await pbdUnplug(lab().double, other.plug(sr.ref));
    expect(await on(FENCED, 'ls /sys/bus/rbd/devices')).toBe('');
    expect(await volumes(FENCED)).toBe(WITHOUT_DEVICES);
    expect(await on(FENCED, 'ls -A /var/run/sm/refcount /var/run/rbdsr/sr')).not.toMatch(/[0-9a-f-]{36}/);
    await pbdPlug(lab().double, other.plug(sr.ref));
    expect(await on(FENCED, NONCE)).not.toBe(nonce);
  });

  test('what nothing has open there is given up to another host; the rest of it is let go as before', async () => {
    const state = `/var/run/rbdsr/nbd/${stringOf(read, 'uuid')}.json`;
    await on(FENCED, `kill -KILL "$(sed 's/.*"pid":\\([0-9]*\\).*/\\1/' ${state})"`);
    await activatedHere(read);
    expect(marksOf(read)).toEqual([HERE]);
    await vdiDeactivate(lab().double, lab().hostRef(HERE), read.ref);
    await failure(deactivated(written));
    await letGo();
    await pbdUnplug(lab().double, other.plug(sr.ref));
    await pbdPlug(lab().double, other.plug(sr.ref));
  });

  test('plugging alone does it where a toolstack that was restarted unplugs no more; not under a disk in use', async () => {
    const nonce = await on(FENCED, NONCE);
    const { fields } = lab().double.db.get('PBD', other.plug(sr.ref));
    fields['currently_attached'] = false;
    expect((await failure(pbdPlug(lab().double, other.plug(sr.ref)))).message).toMatch(/3 of its volumes are in use/);
    expect(await on(FENCED, NONCE)).toBe(nonce);
    fields['currently_attached'] = true;
    await failure(deactivated(written));
    await letGo();

    fields['currently_attached'] = false;
    await pbdPlug(lab().double, other.plug(sr.ref));
    expect(await on(FENCED, NONCE)).not.toBe(nonce);
  });
}

/** dmsetup of a host that has none. */
const WITHOUT_DEVICES = 'No devices found\n';

/** Address and nonce of the client that has the image mapped. */
const NONCE = 'cat /sys/bus/rbd/devices/*/client_addr';
