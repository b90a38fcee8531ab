import { DiskUser } from '../../../lab/blkback-double/disk-user.ts';
import { stringOf } from '../../../lab/xapi-double/database.ts';
import type { Host } from '../../../lab/hosts/host.ts';
import type { Pool } from '../../../lab/pool.ts';
import type { Row } from '../../../lab/xapi-double/database.ts';
import { DRIVER } from '../../../lab/hosts/install.ts';
import { onMachine } from '../../../lab/hosts/start-script.ts';

const MiB = 1024 * 1024;

// What a scenario sees of an SR with the tools of dom0: no code of the product but the operator's command.

/** An SR by its uuid; what `makeSr` returns is one. */
export interface SrId {
  readonly uuid: string;
}

export interface Volume {
  readonly sizeMiB: number;
  readonly active: boolean;
}

/** LVM as an administrator would call it: dom0's own settings do not know RBD devices. */
export const LVM_CONFIG = `--config 'devices{types=["rbd",16] filter=["a|^/dev/rbd|","r|.*|"]}'`;

/** The logical volumes of the SR and what this host has active of them. */
export async function volumesOf(pool: Pool, sr: SrId, host = 0): Promise<ReadonlyMap<string, Volume>> {
  const rows = await pool
    .host(host)
    .shell(`lvs ${LVM_CONFIG} --noheadings --units m --nosuffix -o lv_name,lv_size,lv_active VG_XenStorage-${sr.uuid}`);
  const fields = rows
    .split('\n')
    .map((row) => row.trim().split(/\s+/))
    .filter(([name]) => name !== '');
  return new Map(
    fields.map(([name = '', size = '', active = '']) => [name, { sizeMiB: Number(size), active: active === 'active' }]),
  );
}

/** What a script for dom0's shell prints that looks at an inactive volume, `$1`. */
export function onVolume(pool: Pool, sr: SrId, lv: string, script: string, host = 0): Promise<string> {
  const name = `VG_XenStorage-${sr.uuid}/${lv}`;
  return pool.host(host).shell(
    `lvchange ${LVM_CONFIG} -ay ${name} >&2
     set -- /dev/${name}
     code=0
     result=$( ${script} ) || code=$?
     udevadm settle
     lvchange ${LVM_CONFIG} -an ${name} >&2
     printf %s "$result"
     exit $code`,
    { timeoutMs: 120_000 },
  );
}

/** The md5 of the first MiB of a VHD's content as the operator's command shows it; fails unless the VHD is sound. */
export function soundContent(pool: Pool, sr: SrId, vdi: Row, mib: number, host = 0): Promise<string> {
  const script = `${DRIVER} vhd check --in-use "$1" >&2 && ${DRIVER} vhd cat "$1" | head -c ${mib}M | md5sum`;
  return onVolume(pool, sr, `VHD-${stringOf(vdi, 'uuid')}`, script, host);
}

/** What stands in for blkback on a host. */
export function diskUser(pool: Pool, host = 0): Promise<DiskUser> {
  return DiskUser.on(pool.host(host), onMachine);
}

/** Writes as many MiB of noise to a block device of a host, past every cache; their md5. */
export async function writeNoise(pool: Pool, device: string, mib: number, host = 0): Promise<string> {
  return (await diskUser(pool, host)).putNoise(device, mib * MiB);
}

/** The md5 of the first MiB of a block device of a host, past its cache. */
export async function readNoise(pool: Pool, device: string, mib: number, host = 0): Promise<string> {
  return (await diskUser(pool, host)).md5(device, mib * MiB);
}

export interface MetadataShown {
  readonly sr: Readonly<Record<string, unknown>>;
  readonly vdis: readonly { readonly uuid: string; readonly nameLabel: string; readonly nameDescription: string }[];
  readonly problems: readonly string[];
}

/** `rbdsr mgt show --json` of the SR's metadata volume, which is active on the master. */
export async function metadataOf(pool: Pool, sr: SrId): Promise<MetadataShown> {
  const { stdout } = await pool.host(0).exec([DRIVER, 'mgt', 'show', '--json', `/dev/VG_XenStorage-${sr.uuid}/MGT`]);
  return JSON.parse(stdout) as MetadataShown;
}

/**
 * The mappings, volumes, servers and nodes of disks on a host, one a line. A worker that has answered has a moment to
 * end.
 */
export function leftOn(pool: Pool, host: number): Promise<string> {
  return pool.host(host).shell(
    `n=0; while pgrep '^rbdsr sm' >/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
     ls /sys/bus/rbd/devices | sed 's/^/mapping /'
     dmsetup ls | grep -v 'No devices' | cut -f1 | sed 's/^/volume /'
     pgrep -a '^rbdsr (nbd|sm)' | sed 's/^/process /'
     for pid in /sys/block/nbd*/pid; do [ ! -e "$pid" ] || echo "device $pid"; done
     for folder in /dev/sm/phy /dev/sm/backend /run/blktap-control/nbd /var/run/blktap-control/nbd; do
       [ ! -d $folder ] || find -L $folder ! -type d | sed 's/^/node /'
     done | sort -u`,
  );
}

/** What there is of programs that this machine has and no host of a pool: nothing. */
export async function programsThatNoHostHas(host: Host): Promise<string> {
  return (await host.exec(['/bin/sh', '-c', 'for p in ceph rbd rados node npm npx; do command -v $p; done'])).stdout;
}

/** Maps an image in dom0 without the product, as an administrator may have done. */
export async function mapByHand(pool: Pool, image: string, host: number): Promise<void> {
  const key = await pool.cluster.userKey('admin');
  const line = `${pool.cluster.monitors[0] ?? ''} name=admin,secret=${key} rbd ${image}`;
  await pool.host(host).shell('cat >/sys/bus/rbd/add_single_major; udevadm settle', { stdin: line });
}
