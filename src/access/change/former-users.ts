import type { Deadline } from '../../base/deadline.ts';
import { messageOf } from '../../base/error.ts';
import { lastStep, type Step, step } from '../../base/steps.ts';
import type { Watcher } from '../../ceph/control/control-plane.ts';
import { sameSpec } from '../../ceph/image/image-spec.ts';
import type { MonitorHost } from '../../ceph/control/ssh/monitor-host.ts';
import type { CephxUsers } from '../cephx-users.ts';
import { runSteps } from '../../system/running-steps.ts';
import type { Xapi } from '../../xapi/client.ts';
import { allHosts, callPlugin } from '../../xapi/host.ts';
import { removeMapKey } from '../../xapi/map-keys.ts';
import { FORMER_USER } from '../kept-keys.ts';
import { factsOfSameCluster } from '../monitor-login.ts';
import type { PoolSr } from '../pool-sr.ts';

/** One host of the pool, and by which cephx users it is at work. */
export interface HostReport {
  readonly name: string;
  /** Its PBD of the SR is plugged. */
  readonly plugged: boolean;
  readonly users?: CephxUsers;
  /** Why it could not say. */
  readonly problem?: string;
}

export interface FormerUser {
  readonly user: string;
  /** Empty where it was removed from the cluster. */
  readonly stillUsed: readonly string[];
}

/**
 * Removes the cephx users that the SR used before from its cluster, those that nobody uses: a host that has the image
 * mapped by one would lose it when its ticket ends.
 */
export async function removeFormerUsers(
  xapi: Xapi,
  poolSr: PoolSr,
  openHost: () => Promise<MonitorHost>,
  deadline: Deadline,
): Promise<readonly FormerUser[]> {
  const { sr, kept, spec } = poolSr;
  const formers = kept?.formerUsers ?? [];
  if (formers.length === 0) return [];
  await using host = await openHost();
  await factsOfSameCluster(host, poolSr, deadline);
  const watchers = spec === undefined ? [] : await host.watchers(spec, deadline);
  const reports = await reportsOf(xapi, poolSr);
  const answers: FormerUser[] = [];
  for (const user of formers) {
    const stillUsed = usesOf(user, poolSr, watchers, reports);
    answers.push({ user, stillUsed });
    if (stillUsed.length > 0) continue;
    await runSteps(removeOldSteps, { xapi, srRef: sr.ref, host, user, deadline });
  }
  return answers;
}

/** The removing of one user. */
interface Removing {
  readonly xapi: Xapi;
  readonly srRef: string;
  readonly host: MonitorHost;
  readonly user: string;
  readonly deadline: Deadline;
}

export const removeOldSteps: readonly Step<Removing>[] = [
  step('remove-old.after-user', ({ host, user, deadline }) => host.removeUser(user, deadline), {
    does: 'the user is removed from the cluster',
    leaves: { id: 'former-user-gone', says: 'a note of a user that is gone' },
    mendedBy: { by: ['again'], says: 'the same command again does both again' },
  }),
  lastStep(
    ({ xapi, srRef, user }) => removeMapKey(xapi, 'SR.sm_config', srRef, `${FORMER_USER}${user}`),
    '`rbd_former_user_<user>` is removed',
  ),
];

/**
 * Who uses the image by this user or might: every client that has it open has to be a mapping of a host of this pool,
 * made by another user.
 */
export function usesOf(
  user: string,
  { spec }: Pick<PoolSr, 'spec'>,
  watchers: readonly Watcher[],
  reports: readonly HostReport[],
): readonly string[] {
  const mappings = reports.flatMap(({ name, users }) =>
    (users?.mappings ?? []).map((mapping) => ({ mapping, host: name })),
  );
  const named = mappings.filter(({ mapping }) => mapping.user === user);
  const others = mappings.filter(
    ({ mapping }) => spec !== undefined && sameSpec(mapping.spec, spec) && (mapping.user ?? user) !== user,
  );
  // The others are known to be harmless, and those of the user are named already.
  const explained = new Set([...others, ...named].flatMap(({ mapping }) => mapping.client ?? []));
  return [
    ...named.map(
      ({ host, mapping }) => `host ${host} has ${mapping.device} mapped by it: unplug and plug the PBD there`,
    ),
    ...watchers
      .filter(({ client }) => !explained.has(client))
      .map(({ address }) => `${address} has the image open, and may be a client of this user`),
    ...reports
      .filter(({ users }) => users?.keyFiles.includes(user) === true)
      .map(({ name }) => `host ${name} has a key file of it for HA: disable HA and enable it again`),
    ...reports
      .filter(({ plugged, users }) => plugged && users === undefined)
      .map(({ name, problem }) => `host ${name} has the SR plugged and could not be asked: ${problem ?? 'no answer'}`),
  ];
}

async function reportsOf(xapi: Xapi, { pbds }: PoolSr): Promise<readonly HostReport[]> {
  const reports: HostReport[] = [];
  for (const { ref, nameLabel: name } of await allHosts(xapi)) {
    const plugged = pbds.some((pbd) => pbd.host === ref && pbd.currentlyAttached);
    try {
      const users = JSON.parse(await callPlugin(xapi, ref, 'rbdsr', 'cephx_users', {})) as CephxUsers;
      reports.push({ name, plugged, users });
    } catch (error) {
      reports.push({ name, plugged, problem: messageOf(error) });
    }
  }
  return reports;
}
