import { parseArgs } from 'node:util';
import { DiskUser } from './blkback-double/disk-user.ts';
import type { Host } from './hosts/host.ts';
import { onMachine } from './hosts/start-script.ts';
import type { Pool } from './pool.ts';
import { startPool } from './start-pool.ts';
import { Story } from './story.ts';
import { stringOf } from './xapi-double/database.ts';
import { pbdPlug, pbdUnplug } from './xapi-double/pbd-operations.ts';
import { pbdOn } from './xapi-double/driver.ts';
import { srCreate, srDestroy, srScan } from './xapi-double/sr-operations.ts';
import {
  vdiActivate,
  vdiAttach,
  vdiCreate,
  vdiDeactivate,
  vdiDestroy,
  vdiDetach,
} from './xapi-double/vdi-operations.ts';

// `npm run demo [-- --xen]`: RBDSR's main job from the first call to the last, on a real Ceph cluster and two hosts.
const MiB = 1024 * 1024;
const GUEST_WRITES = `
dd if=/dev/urandom of=/pattern bs=1M count=8 2>/dev/null
dd if=/pattern of=/dev/xvda bs=1M conv=fsync 2>/dev/null
md5sum </pattern`;
const GUEST_READS = `dd if=/dev/xvda bs=1M count=8 2>/dev/null | md5sum`;

const REAL =
  'Real here: Ceph, the kernel RBD client, device-mapper, LVM, udev, the file that ships and what its installer does.';
const WITHOUT_XEN = `Not real: xapi is a double of ours. There is no Xen: each host is a user-mode Linux kernel, a process of this machine, and what a guest would
write to its disk a program of the host writes to the same device. With Xen dom0s and guests, in five to ten minutes: npm run demo -- --xen`;
const WITH_XEN = `Real, too: Xen, its dom0s and guests whose disks go through blkback, on an emulated machine each, which makes all of it slow.
Not real: xapi is a double of ours.`;

const { xen = false } = parseArgs({ options: { xen: { type: 'boolean' } } }).values;
const story = new Story(xen ? [300, 600] : [75, 100]);
story.say(REAL, xen ? WITH_XEN : WITHOUT_XEN);
const WHO = xen ? 'A Xen guest' : 'A program';
let pool: Pool | undefined;
try {
  const hosts = xen ? { hosts: 0, xenHosts: 2 } : { hosts: 2 };
  pool = await story.step('Ceph, two hosts and RBDSR on them come up', () =>
    startPool({ ...hosts, progress: (step) => story.note(step) }),
  );
  await tell(pool);
} catch (error) {
  story.failed(error);
  for (const host of pool?.hosts ?? []) {
    const { stdout } = await host.exec(['tail', '-n', '40', '/var/log/SMlog']);
    story.note(`${host.name}, /var/log/SMlog:\n${stdout}`);
  }
} finally {
  const started = pool;
  if (started !== undefined)
    await story.step('The lab is taken down', () => started.stop()).catch((error) => story.failed(error));
}
story.table();
process.exitCode = story.verdict();

async function tell(pool: Pool): Promise<void> {
  const { cluster, double: xapi } = pool;
  const [one, two] = [pool.host(0), pool.host(1)];
  const [host1, host2] = [pool.hostRef(0), pool.hostRef(1)];

  const user = await story.step('The Ceph administrator makes a user and an image', async () => {
    await cluster.createImage('rbd/sr1', { sizeMiB: 2048 });
    return cluster.createUser('xen', ['rbd']);
  });
  const { sr, plugErrors } = await story.step('xe sr-create type=rbd, plugged on both hosts', () =>
    srCreate(xapi, {
      type: 'rbd',
      nameLabel: 'Ceph',
      deviceConfig: {
        monitors: cluster.monitors.join(','),
        pool: 'rbd',
        image: 'sr1',
        user: user.name,
        password: user.key,
      },
    }),
  );
  for (const error of plugErrors) throw error;
  story.note(
    `SR ${stringOf(sr, 'uuid')} on ${(await one.shell('ls /sys/bus/rbd/devices; vgs --noheadings -o vg_name --config \'devices{types=["rbd",16]}\' || true')).trim().replaceAll(/\s+/g, ' ')}`,
  );

  const [first, second] = await story.step('xe vdi-create, twice', async () => [
    await vdiCreate(xapi, { sr: sr.ref, virtualSize: 64 * MiB, nameLabel: 'first' }),
    await vdiCreate(xapi, { sr: sr.ref, virtualSize: 32 * MiB, nameLabel: 'second' }),
  ]);
  if (first === undefined || second === undefined) throw new Error('there are no two VDIs');

  const device = await story.step('host1 attaches the first disk', () => attach(host1, first.ref));
  story.note(`the disk is ${device}`);
  const written = await story.step(`${WHO} on host1 writes 8 MiB to it`, () => writePattern(one, device));
  story.note(`written: ${written}`);
  await story.step('host1 detaches the disk', () => detach(host1, first.ref));
  await story.step('host1 unplugs the SR', () => pbdUnplug(xapi, pbdOn(xapi, sr.ref, host1).ref));
  story.note(`mappings left on host1: ${(await one.shell('ls /sys/bus/rbd/devices')).trim() || 'none'}`);

  await story.step('host2 unplugs the SR and plugs it again', async () => {
    await pbdUnplug(xapi, pbdOn(xapi, sr.ref, host2).ref);
    await pbdPlug(xapi, pbdOn(xapi, sr.ref, host2).ref);
  });
  const elsewhere = await story.step('host2 attaches the disk', () => attach(host2, first.ref));
  const read = await story.step(`${WHO} on host2 reads it`, () => readPattern(two, elsewhere));
  story.note(`read: ${read}`);
  if (read !== written) throw new Error(`host2 read ${read}, but ${written} was written`);
  await story.step('host2 detaches the disk', () => detach(host2, first.ref));

  await story.step('xe vdi-destroy, twice, and xe sr-destroy', async () => {
    await pbdPlug(xapi, pbdOn(xapi, sr.ref, host1).ref);
    await srScan(xapi, sr.ref);
    await vdiDestroy(xapi, first.ref);
    await vdiDestroy(xapi, second.ref);
    for (const host of [host2, host1]) await pbdUnplug(xapi, pbdOn(xapi, sr.ref, host).ref);
    await srDestroy(xapi, sr.ref);
  });
  await story.step('Nothing is left', async () => {
    for (const host of [one, two]) {
      const left = (
        await host.shell(
          'ls /sys/bus/rbd/devices; dmsetup ls | grep -v "No devices" || true; pgrep -a "^rbdsr nbd" || true',
        )
      ).trim();
      if (left !== '') throw new Error(`${host.name} still has: ${left}`);
    }
    await cluster.removeImage('rbd/sr1');
    if (xapi.offences.length > 0) throw new Error(`xapi saw offences: ${JSON.stringify(xapi.offences)}`);
  });

  async function attach(host: string, vdi: string): Promise<string> {
    const { params, paramsNbd } = await vdiAttach(xapi, host, vdi, { writable: true });
    await vdiActivate(xapi, host, vdi, { writable: true });
    const path = params ?? paramsNbd;
    if (path === undefined) throw new Error('vdi_attach named no device');
    return path;
  }

  async function detach(host: string, vdi: string): Promise<void> {
    await vdiDeactivate(xapi, host, vdi);
    await vdiDetach(xapi, host, vdi);
  }
}

async function writePattern(host: Host, device: string): Promise<string> {
  if (host.has('a guest')) return runGuest(host, device, true, GUEST_WRITES);
  return (await (await DiskUser.on(host, onMachine)).putNoise(device, 8 * MiB)).trim();
}

async function readPattern(host: Host, device: string): Promise<string> {
  if (host.has('a guest')) return runGuest(host, device, false, GUEST_READS);
  return (await (await DiskUser.on(host, onMachine)).md5(device, 8 * MiB)).trim();
}

async function runGuest(host: Host, device: string, writable: boolean, script: string): Promise<string> {
  const guest = await host.startGuest({ device, writable, script });
  try {
    const { code, output } = await guest.finished();
    if (code !== 0) throw new Error(`the guest's script ended with ${code}: ${output}`);
    return output.split('\n').at(-1) ?? '';
  } finally {
    await guest.destroy();
  }
}
