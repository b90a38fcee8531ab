import { messageOf, RbdsrError } from '../../base/error.ts';
import { formatSpec } from '../../ceph/image/image-spec.ts';
import { CBT_LOG, MGT_LV, vdiOfLv } from '../../lvhd/names.ts';
import { unfinishedVolumes } from '../../lvhd/ops/vdi-create.ts';
import type { VgReport } from '../../lvm/report.ts';
import { faultPoint } from '../../system/fault-point.ts';
import { removeAttachedRecord } from '../../sr/attached-record.ts';
import type { AttachedSr } from '../../sr/attached-sr.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import { configOf, type Handler } from '../handler.ts';
import { krbdOf } from '../../sr/image/krbd-of-host.ts';
import { blankMapped } from '../../sr/image/map-sr-image.ts';
import { readDisks } from '../../sr/read-disks.ts';
import { refuseInUse } from '../../sr/image/release-image.ts';
import { unitReply } from '../protocol/reply.ts';

/**
 * Takes the volume group off the image, leaves it blank and unmaps it; the image itself stays, as it is not ours to
 * delete. xapi attaches the SR before and sends no sr_detach after it. Hidden leaves are disks that were deleted
 * already and wait to be collected: they go.
 */
export const handler: Handler = async (call) => {
  const sr = await openAttachedSr(call);
  const { report, tree } = await readDisks(call, sr);
  refuseDisks(
    sr,
    report,
    new Set(tree.nodes.filter((n) => n.hidden && tree.children(n.uuid).length === 0).map((n) => n.lvName)),
  );
  await refuseInUse(call, sr, report);
  call.waiting(`LVM to remove the ${report.lvs.length} volumes of ${sr.vg}`);
  await sr.lvm.removeLvs(report.lvs.map(({ name }) => name));
  faultPoint('sr-delete.after-lvs');
  call.waiting(`LVM to remove ${sr.vg}`);
  await sr.lvm.removeVg();
  faultPoint('sr-delete.after-vg');
  // The SR is gone whatever becomes of the rest.
  await blankMapped(call, sr.mapping).catch((error: unknown) => {
    call.log.warn(`SR ${sr.uuid} is deleted, but ${formatSpec(sr.spec)} is not blank: ${messageOf(error)}`);
  });
  call.waiting(`the kernel to unmap ${formatSpec(sr.spec)}`);
  await krbdOf(call)
    .unmap(sr.mapping, call.deadline.forCleanUp())
    .catch((error: unknown) => {
      call.log.warn(`SR ${sr.uuid} is deleted, but ${formatSpec(sr.spec)} stays mapped: ${messageOf(error)}`);
    });
  removeAttachedRecord(call.profile.paths, sr.uuid);
  await configOf(call)
    .then((config) => config.retire?.(call))
    .catch((error: unknown) => call.log.warn(`SR ${sr.uuid} is deleted, but: ${messageOf(error)}`));
  return unitReply;
};

function refuseDisks(sr: AttachedSr, report: VgReport, garbage: ReadonlySet<string>): void {
  const unfinished = new Set(unfinishedVolumes(report).map(({ name }) => name));
  const kept = report.lvs.filter(
    ({ name }) => name !== MGT_LV && !garbage.has(name) && !unfinished.has(name) && !name.endsWith(CBT_LOG),
  );
  if (kept.length === 0) return;
  const disks = kept.filter(({ name }) => vdiOfLv(name) !== undefined);
  throw new RbdsrError('sr-not-empty', {
    what: `SR ${sr.uuid} still holds ${disks.length} disks`,
    found: kept.map(({ name }) => name).join(', '),
    todo: 'Delete or move them first; to keep them and only forget the SR: xe sr-forget.',
  });
}
