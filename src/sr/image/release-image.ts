import { realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { RbdsrError } from '../../base/error.ts';
import { formatSpec } from '../../ceph/image/image-spec.ts';
import { vgName } from '../../lvhd/names.ts';
import type { LvReport, VgReport } from '../../lvm/report.ts';
import { describeOpeners, openersOf } from '../../system/openers.ts';
import type { AttachedSr } from '../attached-sr.ts';
import { endCollector } from '../end-collector.ts';
import type { SrWork } from '../work/work.ts';
import { krbdOf } from './krbd-of-host.ts';

/**
 * Deactivates what is active of the SR on this host and unmaps its image. 'device-busy' where a volume or the image is
 * in use: then nothing has changed.
 */
export async function releaseImage(work: SrWork, sr: AttachedSr): Promise<void> {
  const active = await refuseInUse(work, sr, await sr.lvm.report());
  for (const { name } of active) await sr.lvm.deactivate(name);
  work.waiting(`the kernel to unmap ${formatSpec(sr.spec)}`);
  await krbdOf(work).unmap(sr.mapping, work.deadline);
}

/**
 * 'device-busy' where somebody on this host has a volume or the image open; a collector ends first. Answers the
 * volumes that are active only. Changes nothing.
 */
export async function refuseInUse(
  work: SrWork,
  sr: AttachedSr,
  report: VgReport | undefined,
): Promise<readonly LvReport[]> {
  await endCollector(work, sr.uuid);
  const active = (report?.lvs ?? []).filter((lv) => lv.active);
  const busy = active.filter((lv) => lv.open);
  if (busy.length > 0) {
    const users = busy.map(({ name }) => `${name} (${usersOf(sr, name)})`).join(', ');
    throw new RbdsrError('device-busy', {
      what: `SR ${sr.uuid} cannot be let go: ${busy.length} of its volumes are in use on this host`,
      found: users,
      todo: 'Shut down the VMs that use these disks, or move them to another host.',
    });
  }
  await krbdOf(work).refuseIfOpen(
    sr.mapping,
    active.flatMap(({ name }) => deviceOf(sr, name)),
    work.deadline,
  );
  return active;
}

/** `dm-3`; nothing where the volume has no node any more. */
function deviceOf(sr: AttachedSr, lv: string): readonly string[] {
  try {
    return [basename(realpathSync(`/dev/${sr.vg}/${lv}`))];
  } catch {
    return [];
  }
}

function usersOf(sr: AttachedSr, lv: string): string {
  try {
    return describeOpeners(openersOf(`/dev/${vgName(sr.uuid)}/${lv}`)) ?? 'by the kernel';
  } catch {
    // The node may have gone meanwhile; the LV's own state has already said that it is open.
    return 'by the kernel';
  }
}
