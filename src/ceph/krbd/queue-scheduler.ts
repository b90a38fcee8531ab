import { join } from 'node:path';
import { readQueueAttribute, writeAttribute } from '../../system/waiting-sysfs.ts';
import type { KrbdRoots } from './krbd-sysfs.ts';

/** Both leave the order to Ceph: the first of the multi-queue block layer, the second of the one before (3.10). */
const NO_ORDER = ['none', 'noop'] as const;

/**
 * Has the kernel hand requests on in the order in which they come. Where that is so nothing is written, for a change
 * waits until the queue is empty; a kernel that has neither choice goes on as it is (linux `block/elevator.c`: the
 * names it knows, the one in use in brackets; another one is EINVAL).
 */
export async function leaveOrderToCeph({ sysRoot }: Pick<KrbdRoots, 'sysRoot'>, index: number): Promise<void> {
  const file = join(sysRoot, `block/rbd${index}/queue/scheduler`);
  const known = (await readQueueAttribute(file).catch(() => undefined))?.split(/\s+/) ?? [];
  const wanted = NO_ORDER.find((name) => known.includes(name) || known.includes(`[${name}]`));
  if (wanted === undefined || known.includes(`[${wanted}]`)) return;
  await writeAttribute(file, wanted).catch(() => {});
}
