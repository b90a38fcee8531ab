import type { Deadline } from '../../base/deadline.ts';
import { hasCode, messageOf } from '../../base/error.ts';
import { sameSpec } from '../../ceph/image/image-spec.ts';
import type { Mapping } from '../../ceph/krbd/mapping.ts';
import { krbdOf } from '../../sr/image/krbd-of-host.ts';
import { namesIn } from '../../system/files.ts';
import { readAttribute } from '../../system/sysfs.ts';
import { attachedSrs } from '../../sr/attached-srs.ts';
import type { Host } from '../host.ts';

/** What is left to dmsetup, which an open volume makes fail and a request without an answer wait. */
const VOLUMES_MS = 15_000;

export interface Released {
  readonly label: string;
  readonly how: 'unmapped' | 'forced' | 'left';
  readonly problem?: string;
}

/**
 * Unmaps one image of a host that shuts down. By now no VM runs, but volumes may still be active, and the cluster may
 * not answer: a mapping that stays until the network is gone could hang the host. So it is unmapped, or, where somebody
 * has it open, by force. An image that no SR of ours stands on is only asked. The kernel ends neither before every
 * request it has sent is answered or has failed.
 */
export async function releaseMapping(host: Host, index: number, deadline: Deadline): Promise<Omit<Released, 'label'>> {
  const krbd = krbdOf(host);
  const mapping = krbd.list().find((found) => found.index === index);
  if (mapping === undefined) return { how: 'unmapped' };
  const ours = attachedSrs(host.root).some(({ spec }) => sameSpec(spec, mapping.spec));
  try {
    if (ours) await removeVolumes(host, mapping, deadline.within(VOLUMES_MS));
    await krbd.unmap(mapping, deadline);
    return { how: 'unmapped' };
  } catch (error) {
    if (!ours || hasCode(error, 'deadline')) return left(error);
  }
  try {
    await krbd.unmap(mapping, deadline, { force: true });
    return { how: 'forced' };
  } catch (error) {
    return left(error);
  }
}

/** One that waits in the kernel is under way, and gets done if the cluster comes back in time. */
function left(error: unknown): Omit<Released, 'label'> {
  const why = hasCode(error, 'deadline') ? ', which waits until the cluster has answered what it was asked' : '';
  return { how: 'left', problem: `${messageOf(error)}${why}` };
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
