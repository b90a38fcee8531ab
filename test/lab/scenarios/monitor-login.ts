import type { Pool } from '../../../lab/pool.ts';
import { SshHost } from '../../../lab/ssh-host/ssh-host.ts';

/** The stock iSCSI driver's entry, which is diverted. */
export const ENTRY = '/opt/xensource/sm/LVMoISCSISR';
export const PASSWORD = 'c0rrect horse';

/** sshd on the first monitor, with the account of `loginAt`. */
export function startSsh(pool: Pool): Promise<SshHost> {
  return SshHost.start(pool.run, pool.cluster, {
    name: `ssh-${Date.now()}`,
    users: [{ name: 'xen', password: PASSWORD, sudo: 'password' }],
  });
}

/** What the wizard's first fields hold. */
export function loginAt(ssh: SshHost): Readonly<Record<string, string>> {
  return { target: ssh.address, port: '6789', chapuser: 'xen', chappassword: PASSWORD };
}

/** As xapi registers it when it starts. */
export function knowStockDriver({ double }: Pool): void {
  if (double.db.where('SM', 'type', 'lvmoiscsi').length > 0) return;
  double.db.create('SM', {
    type: 'lvmoiscsi',
    driver_filename: ENTRY,
    capabilities: ['SR_PROBE', 'VDI_CREATE'],
  });
}
