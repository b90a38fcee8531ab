import { fsidOf } from '../../sr/config/fsid-key.ts';
import type { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import { lastStep, type Step, step } from '../../base/steps.ts';
import type { ClusterAccess } from '../../ceph/cluster/access.ts';
import type { ClusterFacts } from '../../ceph/control/monitor-map.ts';
import type { MonitorHost } from '../../ceph/control/ssh/monitor-host.ts';
import {
  formatMonitor,
  formatMonitors,
  kernelAddresses,
  type MonitorAddress,
  parseMonitors,
} from '../../ceph/cluster/monitors.ts';
import { noMonitorAnswers, surveyMonitors } from '../../ceph/cluster/monitor-survey.ts';
import { resolveMonitors } from '../../ceph/cluster/resolve-monitors.ts';
import { keepMonitors } from '../change-kept.ts';
import { keptBySr } from '../kept-access.ts';
import { resolveAccess } from '../rbd-type.ts';
import { parseDeviceConfig } from '../../sr/config/device-config.ts';
import { translate } from '../../sr/config/translate.ts';
import { runSteps } from '../../system/running-steps.ts';
import type { Xapi } from '../../xapi/client.ts';
import { factsOfSameCluster, ofSameCluster, otherCluster } from '../monitor-login.ts';
import { setPbdFields } from '../pbd-fields.ts';
import { planeOnHost } from '../plane-on-host.ts';
import type { PoolSr } from '../pool-sr.ts';

export interface NewMonitors {
  readonly monitors: string;
  /** How it is known that they are of the SR's cluster; 'not' where nothing can tell. */
  readonly cluster: 'ssh' | 'its user' | 'not';
}

export interface MonitorSearch {
  /** Addresses that were given; else those that the cluster tells. */
  readonly given?: string;
  readonly openHost: () => Promise<MonitorHost>;
  /** The operator has named who is to be asked over SSH: then nobody else is. */
  readonly isHostNamed: boolean;
}

/**
 * Addresses that were given, or that the cluster tells, as the kernel takes them: one at least is a Ceph monitor that
 * answers, and they are of the SR's cluster as far as it can be known. 'monitor-unreachable' | 'config-invalid' and
 * what SSH fails with.
 */
export async function findMonitors(
  root: string,
  xapi: Xapi,
  sr: PoolSr,
  { given, openHost, isHostNamed }: MonitorSearch,
  deadline: Deadline,
): Promise<NewMonitors> {
  const addresses = given === undefined ? undefined : parseMonitors(given);
  const map = isHostNamed
    ? await mapOverSsh(openHost, sr, deadline)
    : addresses === undefined
      ? await mapOfAnybody(root, xapi, sr, openHost, deadline)
      : undefined;
  const chosen = addresses ?? map?.chosen;
  if (chosen === undefined) throw new Error('neither addresses nor anybody to ask');
  const resolved = await resolveMonitors(chosen, deadline);
  const answers = await surveyMonitors(resolved, deadline);
  if (!answers.some(({ state }) => state === 'msgr1' || state === 'msgr2')) throw noMonitorAnswers(answers);
  const monitors = formatMonitors(chosen);
  if (map !== undefined) {
    if (!resolved.some((address) => map.all.includes(formatMonitor(address)))) throw notInMap(resolved, map.all);
    return { monitors, cluster: map.toldBy };
  }
  return { monitors, cluster: (await isClusterOf(root, xapi, sr, monitors, deadline)) ? 'its user' : 'not' };
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
  readonly toldBy: 'ssh' | 'its user';
  /** What the kernel is told: msgr v1 where a monitor speaks it. */
  readonly chosen: readonly MonitorAddress[];
  /** Every address of every monitor. */
  readonly all: readonly string[];
}

async function mapOverSsh(openHost: () => Promise<MonitorHost>, sr: PoolSr, deadline: Deadline): Promise<MonitorMap> {
  await using host = await openHost();
  return mapOf(await factsOfSameCluster(host, sr, deadline), 'ssh');
}

/** As the SR's own user, by the monitors that it has, or was made with; over SSH where none of these lets it in. */
async function mapOfAnybody(
  root: string,
  xapi: Xapi,
  sr: PoolSr,
  openHost: () => Promise<MonitorHost>,
  deadline: Deadline,
): Promise<MonitorMap> {
  let refusal: RbdsrError | undefined;
  try {
    const access = await accessOf(xapi, sr);
    const facts = access === undefined ? undefined : await factsAs(root, alsoBy(access, sr), deadline.within(OWN_MS));
    if (facts !== undefined) return mapOf(ofSameCluster(facts, sr), 'its user');
  } catch (error) {
    if (!(error instanceof RbdsrError) || hasCode(error, 'config-invalid')) throw error;
    refusal = error;
  }
  try {
    return await mapOverSsh(openHost, sr, deadline);
  } catch (error) {
    // Nobody is known who could be asked over SSH: then it matters why its own user is not let in.
    throw hasCode(error, 'invalid-argument') && refusal !== undefined ? refusal : error;
  }
}

/** The monitor that was typed in the wizard need not be among those that the SR keeps. */
function alsoBy(access: ClusterAccess, { kind, pbds }: PoolSr): ClusterAccess {
  const typed = kind === 'diverted' ? pbds.flatMap(({ deviceConfig }) => translate(deviceConfig).monitors) : [];
  const known = access.monitors.map(formatMonitor);
  const more = new Map(typed.map((monitor) => [formatMonitor(monitor), monitor]));
  const others = [...more].flatMap(([text, monitor]) => (known.includes(text) ? [] : [monitor]));
  return { ...access, monitors: [...access.monitors, ...others] };
}

/** What its own monitors may take, before others are asked. */
const OWN_MS = 30_000;

function mapOf({ monitors }: ClusterFacts, toldBy: MonitorMap['toldBy']): MonitorMap {
  return {
    toldBy,
    chosen: kernelAddresses(monitors),
    all: monitors.flatMap(({ v1, v2 }) =>
      [v1, v2].flatMap((address) => (address === undefined ? [] : formatMonitor(address))),
    ),
  };
}

/** False where nobody on this host can ask as the SR's user, or there is no key or no fsid to compare. */
async function isClusterOf(
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
  try {
    using plane = await planeOnHost(root, { ...before, monitors: parseMonitors(monitors) }, deadline);
    const found = await plane.clusterId(deadline);
    if (found !== wanted) throw otherCluster(sr.uuid, wanted, found);
    return true;
  } catch (error) {
    if (hasCode(error, 'cluster-incompatible', 'control-plane-missing')) return false;
    throw error;
  }
}

async function factsAs(root: string, access: ClusterAccess, deadline: Deadline): Promise<ClusterFacts | undefined> {
  using plane = await planeOnHost(root, access, deadline);
  return await plane.facts(deadline);
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
