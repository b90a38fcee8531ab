import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterAccess } from '../../cluster/access.ts';
import { formatMonitors } from '../../cluster/monitors.ts';

/**
 * Runs `work` with the path of a ceph.conf made for it, beside a keyring of mode 0600, in a folder of mode 0700 that is
 * removed afterwards. What a killed process left behind goes with the next call. `seconds` bounds each connection and
 * each operation.
 */
export async function withClientFiles<T>(
  runDir: string,
  access: ClusterAccess,
  seconds: number,
  work: (configPath: string) => Promise<T>,
): Promise<T> {
  mkdirSync(runDir, { recursive: true, mode: 0o755 });
  sweep(runDir);
  const folder = mkdtempSync(join(runDir, `${PREFIX}${process.pid}-`));
  try {
    const keyring = join(folder, 'keyring');
    writeFileSync(keyring, `[client.${access.user}]\n\tkey = ${access.key.reveal()}\n`, { mode: 0o600 });
    const config = join(folder, 'ceph.conf');
    writeFileSync(config, cephConf(access, keyring, seconds), { mode: 0o600 });
    return await work(config);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Nothing of the host's own /etc/ceph/ceph.conf, no log, no socket. */
export function cephConf(access: ClusterAccess, keyring: string, seconds: number): string {
  const settings = {
    mon_host: formatMonitors(access.monitors),
    keyring,
    log_file: '',
    log_to_stderr: 'false',
    err_to_stderr: 'false',
    log_to_syslog: 'false',
    admin_socket: '',
    client_mount_timeout: seconds,
    rados_mon_op_timeout: seconds,
    rados_osd_op_timeout: seconds,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`.trimEnd());
  return `[global]\n${lines.join('\n')}\n`;
}

const PREFIX = 'ceph-client-';

function sweep(runDir: string): void {
  for (const name of readdirSync(runDir)) {
    const [, pid] = /^ceph-client-([0-9]+)-/.exec(name) ?? [];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(runDir, name), { recursive: true, force: true });
  }
}
