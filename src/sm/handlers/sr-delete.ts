import { messageOf, RbdsrError } from '../../base/error.ts';
import { lastStep, type Mending, type Step, step } from '../../base/steps.ts';
import { formatSpec } from '../../ceph/image/image-spec.ts';
import { CBT_LOG, MGT_LV, vdiOfLv } from '../../lvhd/names.ts';
import { unfinishedVolumes } from '../../lvhd/ops/vdi-create.ts';
import type { VgReport } from '../../lvm/report.ts';
import { runSteps } from '../../system/running-steps.ts';
import { removeAttachedRecord } from '../../sr/attached-record.ts';
import type { AttachedSr } from '../../sr/attached-sr.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import { configOf, type Handler, type SmCall } from '../handler.ts';
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
  await runSteps(srDeletionSteps, { call, sr, report });
  return unitReply;
};

interface Deletion {
  readonly call: SmCall;
  readonly sr: AttachedSr;
  readonly report: VgReport;
}

const forgotten: Mending = { by: ['sr_forget'], says: '`xe sr-forget`' };

/** From the second on the SR is gone, whatever becomes of the rest. */
export const srDeletionSteps: readonly Step<Deletion>[] = [
  step('sr-delete.after-lvs', removeVolumes, {
    does: 'every LV is removed, which only `MGT` and garbage are',
    leaves: { id: 'sr-empty-attached', says: 'an empty volume group' },
    mendedBy: { by: ['again'], says: 'sr_delete again' },
  }),
  step('sr-delete.after-vg', removeVolumeGroup, {
    does: 'the volume group is removed',
    leaves: { id: 'image-with-remains', says: 'a mapped image with remains' },
    mendedBy: {
      ...forgotten,
      says: `${forgotten.says}: SR.destroy would attach the SR first, and there is none any more. To make another SR there, wipe the image as sr_create's refusal says`,
    },
  }),
  step('sr-delete.after-label', ({ sr }) => sr.lvm.removePv(), {
    does: 'the label of its physical volume is removed',
    leaves: { id: 'image-with-remains', says: 'the same' },
    mendedBy: forgotten,
  }),
  step('sr-delete.after-blank', blankImage, {
    does: 'the first and last 16 MiB are zeroed',
    leaves: { id: 'image-blank-attached', says: 'a blank, mapped image' },
    mendedBy: forgotten,
  }),
  step('sr-delete.after-unmap', unmapImage, {
    does: 'the image is unmapped',
    leaves: { id: 'image-blank-noted', says: 'the note of an attached SR, which no image is mapped for' },
    mendedBy: forgotten,
  }),
  lastStep(forgetSr, 'the note goes, and what the SR kept for its cluster; the image stays, RBDSR never removes one'),
];

async function removeVolumes({ call, sr, report }: Deletion): Promise<void> {
  call.waiting(`LVM to remove the ${report.lvs.length} volumes of ${sr.vg}`);
  await sr.lvm.removeLvs(report.lvs.map(({ name }) => name));
}

async function removeVolumeGroup({ call, sr }: Deletion): Promise<void> {
  call.waiting(`LVM to remove ${sr.vg}`);
  await sr.lvm.removeVg();
}

async function blankImage({ call, sr }: Deletion): Promise<void> {
  await blankMapped(call, sr.mapping).catch((error: unknown) => {
    call.log.warn(`SR ${sr.uuid} is deleted, but ${formatSpec(sr.spec)} is not blank: ${messageOf(error)}`);
  });
}

async function unmapImage({ call, sr }: Deletion): Promise<void> {
  call.waiting(`the kernel to unmap ${formatSpec(sr.spec)}`);
  await krbdOf(call)
    .unmap(sr.mapping, call.deadline.forCleanUp())
    .catch((error: unknown) => {
      call.log.warn(`SR ${sr.uuid} is deleted, but ${formatSpec(sr.spec)} stays mapped: ${messageOf(error)}`);
    });
}

async function forgetSr({ call, sr }: Deletion): Promise<void> {
  removeAttachedRecord(call.profile.paths, sr.uuid);
  await configOf(call)
    .then((config) => config.retire?.(call))
    .catch((error: unknown) => call.log.warn(`SR ${sr.uuid} is deleted, but: ${messageOf(error)}`));
}

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
