import { Deadline } from '../../base/deadline.ts';
import { messageOf } from '../../base/error.ts';
import { formatSpec } from '../../ceph/image/image-spec.ts';
import type { Mapping } from '../../ceph/krbd/mapping.ts';
import { krbdOf } from '../../sr/image/krbd-of-host.ts';
import { answerApart } from '../../system/process-apart.ts';
import type { Host } from '../host.ts';
import type { Released } from './release-mapping.ts';

/** All images together; the unit's own limit is 90 s. */
const TOTAL_MS = 60_000;
/** Of it, for the process of an image to start and to say how it went. */
const ANSWER_MS = 5000;

/**
 * What the release unit runs when it is stopped. Undefined where the host is not shutting down: then somebody stopped
 * the unit, and SRs are in use. Each image is unmapped by a process of its own, `releaser` with the number of the
 * mapping (release-mapping.ts), for one that waits in the kernel for the cluster cannot end, and this one has to: the
 * network is stopped after it.
 */
export async function releaseImages(
  host: Host,
  releaser: readonly string[],
  totalMs = TOTAL_MS,
): Promise<readonly Released[] | undefined> {
  if (!(await isShuttingDown(host))) return undefined;
  const deadline = Deadline.after(totalMs);
  return Promise.all(
    krbdOf(host)
      .list()
      .map((mapping) => releaseElsewhere(releaser, mapping, deadline)),
  );
}

async function releaseElsewhere(releaser: readonly string[], mapping: Mapping, deadline: Deadline): Promise<Released> {
  const label = `${mapping.device} (${formatSpec(mapping.spec)})`;
  const milliseconds = String(Math.max(0, Math.round(deadline.leftMs - ANSWER_MS)));
  try {
    const argv = [...releaser, String(mapping.index), milliseconds];
    const answer = await answerApart(argv, 'the process that unmaps it', deadline);
    return { label, ...(JSON.parse(answer) as Omit<Released, 'label'>) };
  } catch (error) {
    return { label, how: 'left', problem: messageOf(error) };
  }
}

/**
 * systemd says so itself. Before 246 it calls a host "starting" as long as its boot has not ended, although it goes
 * down (systemd `src/core/manager.c`, manager_state), and a boot that waits for a dead cluster is what somebody ends
 * so: then the way to `shutdown.target` is a job. Elsewhere the runlevel is 0 (halt) or 6 (reboot).
 */
async function isShuttingDown(host: Host): Promise<boolean> {
  const deadline = Deadline.after(5000);
  if (host.version.services === 'systemd') {
    const outcome = await host.run('/usr/bin/systemctl', ['is-system-running'], deadline);
    const state = outcome?.stdout.trim() ?? '';
    if (!/^(?:initializing|starting)$/.test(state)) return state === 'stopping';
    const jobs = await host.run('/usr/bin/systemctl', ['list-jobs', '--no-legend', '--full'], deadline);
    return /^\s*[0-9]+ +shutdown\.target +start\b/m.test(jobs?.stdout ?? '');
  }
  const outcome = await host.run('/sbin/runlevel', [], deadline);
  return outcome !== undefined && /^\S+ [06]$/.test(outcome.stdout.trim());
}
