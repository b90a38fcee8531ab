import { Deadline } from '../base/deadline.ts';
import { messageOf } from '../base/error.ts';
import { formatSpec, sameSpec } from '../ceph/image-spec.ts';
import type { Krbd } from '../ceph/krbd.ts';
import type { Mapping } from '../ceph/mapping.ts';
import { krbdOf } from '../sm/krbd-of-host.ts';
import { namesIn } from '../system/files.ts';
import { readAttribute } from '../system/sysfs.ts';
import { attachedSrs } from './attached-srs.ts';
import type { Host } from './host.ts';

/** All images together; the unit's own limit is 90 s. */
const TOTAL_MS = 60_000;
/** What is left to each gentle way with one image. */
const GENTLE_MS = 15_000;

export interface Released {
  readonly label: string;
  readonly how: 'unmapped' | 'forced' | 'left';
  readonly problem?: string;
}

/**
 * What the release unit runs when it is stopped. Undefined where the host is not shutting down: then somebody stopped the unit, and SRs are
 * in use. By now no VM runs, but volumes may still be active, and the cluster may not answer: a mapping that stays until the network
 * is gone would hang the host. So each image is unmapped, or, where that fails, its volumes are taken away and it is unmapped by force. Images
 * that no SR of ours stands on are only asked.
 */
export async function releaseImages(host: Host, gentleMs = GENTLE_MS): Promise<readonly Released[] | undefined> {
  if (!(await isShuttingDown(host))) return undefined;
  const krbd = krbdOf(host);
  const records = attachedSrs(host.root);
  const deadline = Deadline.after(TOTAL_MS);
  return Promise.all(
    krbd.list().map((mapping) => {
      const ours = records.some(({ spec }) => sameSpec(spec, mapping.spec));
      return release({ host, krbd, ours, gentleMs, deadline }, mapping);
    }),
  );
}

interface Release {
  readonly host: Host;
  readonly krbd: Krbd;
  /** An SR of ours stands on it. */
  readonly ours: boolean;
  readonly gentleMs: number;
  readonly deadline: Deadline;
}

async function release(o: Release, mapping: Mapping): Promise<Released> {
  const { host, krbd, ours, gentleMs, deadline } = o;
  const label = `${mapping.device} (${formatSpec(mapping.spec)})`;
  try {
    if (ours) await removeVolumes(host, mapping, deadline.within(gentleMs));
    await krbd.unmap(mapping, deadline.within(gentleMs));
    return { label, how: 'unmapped' };
  } catch (error) {
    if (!ours) return { label, how: 'left', problem: messageOf(error) };
  }
  try {
    await krbd.unmap(mapping, deadline, { force: true });
    return { label, how: 'forced' };
  } catch (error) {
    return { label, how: 'left', problem: messageOf(error) };
  }
}

/** dmsetup, and not LVM, which would read the image. */
async function removeVolumes(host: Host, { major, minor }: Mapping, deadline: Deadline): Promise<void> {
  for (const holder of holdersOf(host, `${major}:${minor}`)) {
    const name = readAttribute(host.at(`/sys/block/${holder}/dm/name`));
    if (name !== undefined) await host.run('/sbin/dmsetup', ['remove', '--noudevsync', name], deadline);
  }
}

function holdersOf(host: Host, numbers: string): readonly string[] {
  return namesIn(host.at(`/sys/dev/block/${numbers}/holders`));
}

/** systemd says so itself; elsewhere the runlevel is 0 (halt) or 6 (reboot). */
async function isShuttingDown(host: Host): Promise<boolean> {
  const deadline = Deadline.after(5000);
  if (host.version.services === 'systemd') {
    const outcome = await host.run('/usr/bin/systemctl', ['is-system-running'], deadline);
    return outcome?.stdout.trim() === 'stopping';
  }
  const outcome = await host.run('/sbin/runlevel', [], deadline);
  return outcome !== undefined && /^\S+ [06]$/.test(outcome.stdout.trim());
}
