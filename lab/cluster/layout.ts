import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where one cluster keeps what, and which monitors it has. */
export interface ClusterLayout {
  readonly dir: string;
  /** Short path for admin sockets. */
  readonly socketDir: string;
  readonly fsid: string;
  readonly monitors: readonly MonitorPlace[];
  readonly osds: number;
  readonly messengers: MessengerVersions;
}

/** Which of Ceph's messengers the daemons listen for. */
export type MessengerVersions = 'v1' | 'v2' | 'both';

export interface MonitorPlace {
  /** "a", "b", ... */
  readonly id: string;
  readonly address: string;
}

/** Addresses 10.66.0.1, .2, ... one per monitor; the OSDs and the manager use the first. */
export function layOut(o: Omit<ClusterLayout, 'fsid' | 'monitors'> & { monitors: number }): ClusterLayout {
  const monitors = Array.from({ length: o.monitors }, (_, index) => ({
    id: String.fromCodePoint(97 + index),
    address: `10.66.0.${index + 1}`,
  }));
  const { dir, socketDir, osds, messengers } = o;
  return { dir, socketDir, osds, messengers, monitors, fsid: randomUUID() };
}

export const configPath = ({ dir }: ClusterLayout): string => join(dir, 'ceph.conf');
export const adminSocket = ({ socketDir }: ClusterLayout, daemon: string): string => join(socketDir, `${daemon}.asok`);
export const keyringPath = ({ dir }: ClusterLayout): string => join(dir, 'keyring');

/** The standard ports: "[v2:10.66.0.1:3300,v1:10.66.0.1:6789]" where both are listened for. */
export function monitorAddresses({ messengers }: ClusterLayout, { address }: MonitorPlace): string {
  const v2 = messengers === 'v1' ? [] : [`v2:${address}:3300`];
  const v1 = messengers === 'v2' ? [] : [`v1:${address}:6789`];
  return `[${[...v2, ...v1].join(',')}]`;
}

/**
 * Writes ceph.conf and makes the folders it names. OSDs that are all said to be down come back at once: none waits
 * until it has heard of the others, nor counts how often that was said of it.
 */
export function writeConfig(layout: ClusterLayout): void {
  const { dir, socketDir, fsid, monitors, messengers } = layout;
  mkdirSync(join(dir, 'log'), { recursive: true });
  writeFileSync(
    configPath(layout),
    `[global]
fsid = ${fsid}
mon_host = ${monitors.map((place) => monitorAddresses(layout, place)).join(' ')}
mon_initial_members = ${monitors.map(({ id }) => id).join(',')}
public_network = 10.66.0.0/24
ms_bind_msgr1 = ${messengers !== 'v2'}
ms_bind_msgr2 = ${messengers !== 'v1'}
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
keyring = ${keyringPath(layout)}
log_file = ${dir}/log/$name.log
log_to_syslog = false
mon_cluster_log_file = ${dir}/log/cluster.log
admin_socket = ${socketDir}/$name.asok
pid_file = ${dir}/$name.pid
run_dir = ${dir}
crash_dir = ${dir}
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_crush_chooseleaf_type = 0
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_allow_pool_delete = true
mon_max_pg_per_osd = 1000

[mon]
mon_data = ${dir}/$name
mon_warn_on_pool_no_redundancy = false
mon_data_avail_warn = 2
mon_data_avail_crit = 1
paxos_propose_interval = 0.1

[mgr]
mgr_data = ${dir}/$name
mgr_initial_modules =

[osd]
osd_data = ${dir}/$name
osd_objectstore = bluestore
bluestore_block_size = 17179869184
bluestore_block_wal_create = false
osd_memory_target = 1073741824
osd_class_dir = /usr/lib/x86_64-linux-gnu/rados-classes
osd_max_backfills = 1
osd_heartbeat_grace = 600
osd_heartbeat_min_healthy_ratio = 0
osd_max_markdown_count = 1000
mon_osd_report_timeout = 900
`,
  );
}
