import type { Deadline } from '../base/deadline.ts';
import { hasCode, RbdsrError } from '../base/error.ts';
import type { Log } from '../base/log.ts';
import type { Secret } from '../base/secret.ts';
import { connectMonitorHost, type MonitorHost } from '../ceph/control/ssh/monitor-host.ts';
import type { MonitorAddress } from '../ceph/cluster/monitors.ts';
import type { SrWork } from '../sr/work/work.ts';
import type { HostSettings } from '../dom0/host-settings.ts';
import { readIfExists } from '../system/files.ts';
import type { HostKeyPolicy } from '../system/ssh/ssh-host-key-policy.ts';
import { LOGIN_KEYS } from '../system/ssh/ssh.ts';
import { passwordOf } from './typed-access.ts';
import { requireLogin } from '../sr/config/translate.ts';
import type { WizardConfig } from '../sr/config/wizard-config.ts';

/**
 * The one SSH connection of a call, to the first of the wizard's monitors that answers; closed when the call is
 * answered. `pinned` is the host key that the SR keeps: with it, a host that shows none of ours is refused; without it,
 * it is somebody's first visit.
 */
export async function openMonitorHost(
  work: SrWork,
  wizard: WizardConfig,
  pinned: string | undefined,
): Promise<MonitorHost> {
  requireLogin(wizard);
  const { ssh, monitors, target } = wizard;
  if (ssh === undefined) throw new Error('no SSH login');
  const password = ssh.password === undefined ? undefined : await passwordOf(work, ssh.password);
  work.waiting(`a monitor of ${target} to answer over SSH`);
  const connecting = connectAsLogin({
    root: work.profile.paths.root,
    settings: work.settings,
    monitors,
    user: ssh.user,
    ...(password === undefined ? {} : { password }),
    ...(pinned === undefined ? {} : { pinned }),
    unlisted: pinned === undefined ? 'accept' : 'refuse',
    deadline: work.deadline,
    log: work.log,
  });
  const host = await connecting.catch((error: unknown) => {
    throw hasCode(error, 'monitor-unreachable') ? orWithoutSsh(error) : error;
  });
  work.atEnd(async () => host[Symbol.asyncDispose]());
  return host;
}

function orWithoutSsh(error: RbdsrError): RbdsrError {
  const todo = `${error.detail.todo ?? ''} Without SSH: "client.NAME" as CHAP user, and as password the key of that Ceph user.`;
  return new RbdsrError(error.code, { ...error.detail, todo: todo.trim() });
}

/** Who logs in where, and which host keys count beside the administrator's file. */
export interface MonitorLogin extends Pick<HostKeyPolicy, 'pinned' | 'compared' | 'unlisted'> {
  /** Prefix of this host's paths. */
  readonly root: string;
  readonly settings: HostSettings;
  /** As a person names them: SSH has a port of its own. */
  readonly monitors: readonly MonitorAddress[];
  readonly user: string;
  readonly password?: Secret;
  readonly deadline: Deadline;
  readonly log: Log;
}

/** The first of the monitors that answers over SSH. connectMonitorHost's failures. */
export function connectAsLogin(login: MonitorLogin): Promise<MonitorHost> {
  const { root, settings, monitors, user, password, pinned, compared, unlisted, deadline, log } = login;
  const knownHostsPath = `${root}${KNOWN_HOSTS}`;
  return connectMonitorHost({
    targets: monitors.map(({ host }) => ({ host, port: settings.sshPort ?? SSH_PORT })),
    monitors,
    user,
    ...(password === undefined ? {} : { password }),
    privateKeys: LOGIN_KEYS.map((path) => `${root}${path}`),
    hostKeys: {
      knownHosts: readIfExists(knownHostsPath) ?? '',
      knownHostsPath,
      ...(pinned === undefined ? {} : { pinned }),
      ...(compared === undefined ? {} : { compared }),
      unlisted,
    },
    deadline,
    log,
  });
}

const KNOWN_HOSTS = '/etc/rbdsr/known_hosts';
const SSH_PORT = 22;
