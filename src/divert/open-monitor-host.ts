import type { Secret } from '../base/secret.ts';
import { connectMonitorHost, type MonitorHost } from '../ceph/monitor-host.ts';
import type { SmCall } from '../sm/handler.ts';
import { readIfExists } from '../system/files.ts';
import { LOGIN_KEYS } from '../system/ssh.ts';
import { secretByUuid } from '../xapi/secret.ts';
import { requireLogin } from './translate.ts';
import type { PasswordSource, WizardConfig } from './wizard-config.ts';

const KNOWN_HOSTS = '/etc/rbdsr/known_hosts';

/**
 * The one SSH connection of a call, to the first of the wizard's monitors that answers; closed when the call is answered. `pinned` is the host key
 * that the SR keeps: with it, a host that shows none of ours is refused; without it, it is somebody's first visit.
 */
export async function openMonitorHost(
  call: SmCall,
  wizard: WizardConfig,
  pinned: string | undefined,
): Promise<MonitorHost> {
  requireLogin(wizard);
  const { ssh, monitors, target } = wizard;
  if (ssh === undefined) throw new Error('no SSH login');
  const { root } = call.profile.paths;
  const knownHosts = `${root}${KNOWN_HOSTS}`;
  const password = ssh.password === undefined ? undefined : await passwordOf(call, ssh.password);
  call.waiting(`a monitor of ${target} to answer over SSH`);
  const host = await connectMonitorHost({
    targets: monitors.map((monitor) => ({ host: monitor.host, port: call.settings.sshPort ?? SSH_PORT })),
    monitors,
    user: ssh.user,
    ...(password === undefined ? {} : { password }),
    privateKeys: LOGIN_KEYS.map((path) => `${root}${path}`),
    hostKeys: {
      knownHosts: readIfExists(knownHosts) ?? '',
      knownHostsPath: knownHosts,
      ...(pinned === undefined ? {} : { pinned }),
      unlisted: pinned === undefined ? 'accept' : 'refuse',
    },
    deadline: call.deadline,
    log: call.log,
  });
  call.atEnd(async () => host[Symbol.asyncDispose]());
  return host;
}

const SSH_PORT = 22;

export async function passwordOf(call: SmCall, source: PasswordSource): Promise<Secret> {
  return source.kind === 'key' ? source.key : secretByUuid(await call.xapi(), source.uuid, 'chappassword_secret');
}
