import { realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { hasCode, RbdsrError } from '../../base/error.ts';
import { formatSpec } from '../../ceph/image/image-spec.ts';
import { vgName } from '../../lvhd/names.ts';
import type { LvReport, VgReport } from '../../lvm/report.ts';
import { letUnreadGo, unreadVolumes } from '../../lvm/unread-volumes.ts';
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
  const report = await reportUnlessRefused(work, sr);
  if (report === REFUSED) await letVolumesGo(work, sr);
  else {
    const active = await refuseInUse(work, sr, report);
    for (const { name } of active) await sr.lvm.deactivate(name);
  }
  work.waiting(`the kernel to unmap ${formatSpec(sr.spec)}`);
  await krbdOf(work).unmap(sr.mapping, work.deadline);
}

const REFUSED = Symbol('refused');

/** A cluster that has fenced this host's client answers each read with an error, and what is mapped has to go. */
async function reportUnlessRefused(work: SrWork, sr: AttachedSr): Promise<VgReport | undefined | typeof REFUSED> {
  try {
    return await sr.lvm.report();
  } catch (error) {
    if (!hasCode(error, 'io')) throw error;
    work.log.warn(`SR ${sr.uuid}: ${error.message}. It is let go without LVM, which would read it`);
    return REFUSED;
  }
}

async function letVolumesGo(work: SrWork, sr: AttachedSr): Promise<void> {
  await endCollector(work, sr.uuid);
  const volumes = unreadVolumes(sr.mapping, sr.vg);
  const busy = volumes.filter(({ openers }) => openers !== undefined);
  if (busy.length > 0) throw inUse(sr, busy.length, busy.map(({ name, openers }) => `${name} (${openers})`).join(', '));
  const holders = volumes.map(({ holder }) => holder);
  await krbdOf(work).refuseIfOpen(sr.mapping, holders, work.deadline);
  for (const volume of volumes) await letUnreadGo(sr.vg, volume, work.deadline);
}

function inUse(sr: AttachedSr, count: number, found: string): RbdsrError {
  return new RbdsrError('device-busy', {
    what: `SR ${sr.uuid} cannot be let go: ${count} of its volumes are in use on this host`,
    found,
    todo: 'Shut down the VMs that use these disks, or move them to another host.',
  });
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
    throw inUse(sr, busy.length, users);
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
