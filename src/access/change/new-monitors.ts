import { fsidOf } from '../../sr/config/fsid-key.ts';
import type { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import { lastStep, type Step, step } from '../../base/steps.ts';
import { type ClusterAccess, clusterAccess } from '../../ceph/cluster/access.ts';
import { controlPlaneOf } from '../../ceph/control/tools/ceph-tools.ts';
import type { MonitorHost } from '../../ceph/control/ssh/monitor-host.ts';
import { formatMonitor, formatMonitors, type MonitorAddress, parseMonitors } from '../../ceph/cluster/monitors.ts';
import { noMonitorAnswers, surveyMonitors } from '../../ceph/cluster/monitor-survey.ts';
import { resolveMonitors } from '../../ceph/cluster/resolve-monitors.ts';
import { keepMonitors } from '../change-kept.ts';
import { keptBySr } from '../kept-access.ts';
import { resolveAccess } from '../rbd-type.ts';
import { parseDeviceConfig } from '../../sr/config/device-config.ts';
import { hostPaths } from '../../dom0/host-profile.ts';
import { runSteps } from '../../system/running-steps.ts';
import type { Xapi } from '../../xapi/client.ts';
import { factsOfSameCluster, otherCluster } from '../monitor-login.ts';
import { setPbdFields } from '../pbd-fields.ts';
import type { PoolSr } from '../pool-sr.ts';

export interface NewMonitors {
  readonly monitors: string;
  /** How it is known that they are of the SR's cluster; 'not' where nothing can tell. */
  readonly cluster: 'ssh' | 'ceph tools' | 'not';
}

/**
 * Addresses that were given, or that a monitor tells over SSH, as the kernel takes them: one at least is a Ceph monitor
 * that answers, and they are of the SR's cluster as far as it can be known. 'monitor-unreachable' | 'config-invalid'
 * and what SSH fails with.
 */
export async function findMonitors(
  root: string,
  xapi: Xapi,
  sr: PoolSr,
  given: string | undefined,
  openHost: (() => Promise<MonitorHost>) | undefined,
  deadline: Deadline,
): Promise<NewMonitors> {
  const addresses = given === undefined ? undefined : parseMonitors(given);
  const map = openHost === undefined ? undefined : await mapOf(openHost, sr, deadline);
  const chosen = addresses ?? map?.chosen;
  if (chosen === undefined) throw new Error('neither addresses nor anybody to ask');
  const resolved = await resolveMonitors(chosen, deadline);
  const answers = await surveyMonitors(resolved, deadline);
  if (!answers.some(({ state }) => state === 'msgr1' || state === 'msgr2')) throw noMonitorAnswers(answers);
  const monitors = formatMonitors(chosen);
  if (map !== undefined) {
    if (!resolved.some((address) => map.all.includes(formatMonitor(address)))) throw notInMap(resolved, map.all);
    return { monitors, cluster: 'ssh' };
  }
  return { monitors, cluster: (await askTools(root, xapi, sr, monitors, deadline)) ? 'ceph tools' : 'not' };
}

/**
 * Writes them: those that every plug uses from now on, and where `target` is given also the hosts that are asked over
 * SSH.
 */
export async function setMonitors(
  xapi: Xapi,
  { sr, pbds, kind }: PoolSr,
  monitors: string,
  target: boolean,
): Promise<void> {
  if (kind === 'rbd') {
    await setPbdFields(xapi, pbds, { monitors });
    return;
  }
  if (target) await runSteps(retargetSteps, { xapi, sr, pbds, monitors });
  else await keepMonitors(xapi, sr.ref, monitors);
}

/** The change of monitors, and of whom PBDs ask over SSH. */
interface Retargeting extends Pick<PoolSr, 'sr' | 'pbds'> {
  readonly xapi: Xapi;
  readonly monitors: string;
}

export const retargetSteps: readonly Step<Retargeting>[] = [
  step('remonitor.after-kept', ({ xapi, sr, monitors }) => keepMonitors(xapi, sr.ref, monitors), {
    does: 'the SR keeps them, by the steps above',
    leaves: { id: 'old-target', says: '**changed**; PBDs with the `target` of before' },
    mendedBy: { by: ['again'], says: 'remonitor again' },
  }),
  lastStep(setTarget, '`target` of its PBDs, as below'),
];

async function setTarget({ xapi, pbds, monitors }: Retargeting): Promise<void> {
  const hosts = parseMonitors(monitors).map(({ kind, host }) => (kind === 'ipv6' ? `[${host}]` : host));
  await setPbdFields(xapi, pbds, { target: [...new Set(hosts)].join(',') });
}

interface MonitorMap {
  /** What the kernel is told: msgr v1 where a monitor speaks it. */
  readonly chosen: readonly MonitorAddress[];
  /** Every address of every monitor. */
  readonly all: readonly string[];
}

async function mapOf(openHost: () => Promise<MonitorHost>, sr: PoolSr, deadline: Deadline): Promise<MonitorMap> {
  await using host = await openHost();
  const { monitors } = await factsOfSameCluster(host, sr, deadline);
  return {
    chosen: monitors.flatMap(({ v1, v2 }) => v1 ?? v2 ?? []),
    all: monitors.flatMap(({ v1, v2 }) =>
      [v1, v2].flatMap((address) => (address === undefined ? [] : formatMonitor(address))),
    ),
  };
}

/** False where this host has no ceph tools, or there is no key or no fsid to compare. */
async function askTools(
  root: string,
  xapi: Xapi,
  poolSr: PoolSr,
  monitors: string,
  deadline: Deadline,
): Promise<boolean> {
  const { sr } = poolSr;
  const wanted = fsidOf(sr.smConfig);
  const before = await accessOf(xapi, poolSr);
  if (wanted === undefined || before === undefined) return false;
  const access = clusterAccess({ monitors, user: before.user, key: before.key });
  let found: string;
  try {
    found = await controlPlaneOf(access, { runDir: hostPaths(root, '').runDir }).clusterId(deadline);
  } catch (error) {
    if (hasCode(error, 'control-plane-missing')) return false;
    throw error;
  }
  if (found !== wanted) throw otherCluster(sr.uuid, wanted, found);
  return true;
}

async function accessOf(xapi: Xapi, { sr, pbds, kind }: PoolSr): Promise<ClusterAccess | undefined> {
  try {
    if (kind === 'diverted') return (await keptBySr(xapi, sr.ref))?.access;
    const [pbd] = pbds;
    return pbd === undefined ? undefined : await resolveAccess(parseDeviceConfig(pbd.deviceConfig), async () => xapi);
  } catch (error) {
    if (hasCode(error, 'invalid-secret', 'config-invalid', 'config-missing')) return undefined;
    throw error;
  }
}

function notInMap(given: readonly MonitorAddress[], all: readonly string[]): RbdsrError {
  return new RbdsrError('config-invalid', {
    what: 'none of the addresses is one of a monitor of this cluster, and nothing was changed',
    expected: `some of ${all.join(', ')}`,
    found: formatMonitors(given),
  });
}
