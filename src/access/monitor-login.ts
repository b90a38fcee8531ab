import { fsidOf } from '../sr/config/fsid-key.ts';
import type { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';
import { silentLog } from '../base/log.ts';
import type { Secret } from '../base/secret.ts';
import type { MonitorHost } from '../ceph/control/ssh/monitor-host.ts';
import type { ClusterFacts } from '../ceph/control/monitor-map.ts';
import { parseMonitors } from '../ceph/cluster/monitors.ts';
import { connectAsLogin } from './open-monitor-host.ts';
import { passwordOf } from './typed-access.ts';
import { translate } from '../sr/config/translate.ts';
import { hostPaths } from '../dom0/host-profile.ts';
import { readHostSettings } from '../dom0/host-settings.ts';
import type { Xapi } from '../xapi/client.ts';
import type { PoolSr } from './pool-sr.ts';

/** Whom an operator names to be asked over SSH. */
export interface SshChoice {
  /** A monitor, or several with commas between them. */
  readonly monitor?: string;
  readonly user?: string;
  readonly password?: Secret;
  /** "SHA256:...", a host key that the operator has compared. */
  readonly hostKey?: string;
}

/**
 * An SSH connection to what the operator named; what is left out is what the SR's PBD has. A host key has to be known.
 * connectMonitorHost's failures.
 */
export async function monitorOfSr(
  root: string,
  xapi: Xapi,
  { pbds, kept, kind }: PoolSr,
  choice: SshChoice,
  deadline: Deadline,
): Promise<MonitorHost> {
  const wizard = kind === 'diverted' && pbds[0] !== undefined ? translate(pbds[0].deviceConfig) : undefined;
  const user = choice.user ?? wizard?.ssh?.user ?? missing('--ssh-user', 'a user of the monitor who may use sudo');
  const monitors = choice.monitor === undefined ? wizard?.monitors : parseMonitors(choice.monitor);
  const source = choice.user === undefined ? wizard?.ssh?.password : undefined;
  const password =
    choice.password ?? (source === undefined ? undefined : await passwordOf({ xapi: async () => xapi }, source));
  return connect(root, deadline, {
    monitors: monitors ?? missing('--monitor', 'a monitor of the cluster'),
    user,
    ...(password === undefined ? {} : { password }),
    ...(kept?.hostKey === undefined ? {} : { pinned: kept.hostKey }),
    ...(choice.hostKey === undefined ? {} : { compared: choice.hostKey }),
  });
}

/** The same without an SR: everything has to be named. */
export async function monitorOf(root: string, choice: SshChoice, deadline: Deadline): Promise<MonitorHost> {
  return connect(root, deadline, {
    monitors: parseMonitors(choice.monitor ?? missing('--monitor', 'a monitor of the cluster')),
    user: choice.user ?? missing('--ssh-user', 'a user of the monitor who may use sudo'),
    ...(choice.password === undefined ? {} : { password: choice.password }),
    ...(choice.hostKey === undefined ? {} : { compared: choice.hostKey }),
  });
}

/** The facts of the cluster, which has to be the SR's: 'config-invalid' for another one. */
export async function factsOfSameCluster(host: MonitorHost, sr: PoolSr, deadline: Deadline): Promise<ClusterFacts> {
  return ofSameCluster(await host.facts(deadline), sr);
}

/** The same, of facts that are known. */
export function ofSameCluster(facts: ClusterFacts, { sr }: PoolSr): ClusterFacts {
  const wanted = fsidOf(sr.smConfig);
  if (wanted !== undefined && wanted !== facts.fsid) throw otherCluster(sr.uuid, wanted, facts.fsid);
  return facts;
}

export function otherCluster(sr: string, wanted: string, found: string): RbdsrError {
  return new RbdsrError('config-invalid', {
    what: `this is another cluster than the one that SR ${sr} is in, and nothing was changed`,
    expected: `fsid ${wanted}`,
    found: `fsid ${found}`,
    todo: 'Name a monitor of the same cluster.',
  });
}

type Login = Omit<Parameters<typeof connectAsLogin>[0], 'root' | 'settings' | 'unlisted' | 'deadline' | 'log'>;

function connect(root: string, deadline: Deadline, login: Login): Promise<MonitorHost> {
  const settings = readHostSettings(hostPaths(root, '').settings);
  return connectAsLogin({ ...login, root, settings, unlisted: 'refuse', deadline, log: silentLog });
}

function missing(option: string, expected: string): never {
  throw new RbdsrError('invalid-argument', {
    what: `${option} is missing: nobody is known who could be asked over SSH`,
    expected,
  });
}
