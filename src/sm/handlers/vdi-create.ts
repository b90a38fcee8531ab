import { randomUUID } from 'node:crypto';
import { RbdsrError } from '../../base/error.ts';
import { type VdiUuid, vdiUuid } from '../../base/ids.ts';
import { checkPlan, createVolume, planVdi, unfinishedVolumes, type VdiPlan } from '../../lvhd/vdi-create.ts';
import type { VdiKind } from '../../lvhd/names.ts';
import { faultPoint } from '../../system/fault-point.ts';
import { introduceVdi } from '../../xapi/vdi.ts';
import {
  type AttachedSr,
  openAttachedSr,
  recoverIfMaster,
  reportOf,
  updateSrTotals,
  withMetadata,
} from '../attached-sr.ts';
import type { Handler, SmCall } from '../handler.ts';
import { checkXmlText } from '../illegal-xml.ts';
import { orRebuild } from '../metadata-refusal.ts';
import { vdiReply } from '../reply.ts';
import type { StringRecord } from '../request.ts';
import { sizeArgument, srRefOf } from '../vdi-request.ts';

/**
 * Data before what points to it: the volume, the metadata record, xapi's record. After a failure none of them is left.
 *
 * | step | a cut after it leaves |
 * |---|---|
 * | the steps of `createVolume` (src/lvhd/vdi-create.ts) | see there |
 * | `vdi-create.after-metadata` | a whole disk with its names: the next sr_scan introduces it |
 * | `vdi-create.after-introduce` | a disk that xapi has; only the SR's totals are old until the next scan |
 */
export const handler: Handler = async (call) => {
  const { args, vdiSmConfig = {} } = call.request;
  const [, nameLabel = '', nameDescription = ''] = args;
  checkXmlText('the name of the disk', nameLabel);
  checkXmlText('the description of the disk', nameDescription);
  const sr = await openAttachedSr(call);
  const plan = planVdi({
    uuid: newUuid(call),
    kind: kindOf(vdiSmConfig),
    sizeBytes: sizeArgument(call, 0),
    allocation: sr.allocation,
  });
  call.waiting(`LVM to read ${sr.vg}`);
  await recoverIfMaster(call, sr);
  const report = await reportOf(sr);
  for (const { name } of unfinishedVolumes(report)) await sr.lvm.removeLv(name);
  checkPlan(plan, report);
  await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.checkSpace(), report));
  call.waiting(`LVM to make ${plan.lvName} of ${plan.lvSizeBytes} bytes`);
  await createVolume(sr, plan);
  try {
    await record(call, sr, plan);
  } catch (error) {
    // Clean-up must not hide what went wrong.
    await withMetadata(sr, (mgt) => mgt.delete(plan.uuid)).catch(() => {});
    await sr.lvm.removeLv(plan.lvName).catch(() => {});
    throw error;
  }
  await updateSrTotals(call, await reportOf(sr), { delta: plan.virtualSizeBytes });
  return vdiReply(plan.uuid);
};

async function record(call: SmCall, sr: AttachedSr, plan: VdiPlan): Promise<void> {
  const { args, vdiType = 'user', vdiSmConfig = {} } = call.request;
  const [
    ,
    nameLabel = '',
    nameDescription = '',
    pool = '',
    snapshot = '',
    snapshotTime = '',
    snapshotOf = '',
    ro = '',
  ] = args;
  const readOnly = ro === 'true';
  const isASnapshot = snapshot === 'true';
  await orRebuild(sr.uuid, () =>
    withMetadata(sr, (mgt) =>
      mgt.add({
        uuid: plan.uuid,
        nameLabel,
        nameDescription,
        isASnapshot: false,
        snapshotOf: '',
        snapshotTime: '',
        type: vdiType,
        vdiType: plan.kind,
        readOnly,
        managed: true,
        metadataOfPool: '',
      }),
    ),
  );
  faultPoint('vdi-create.after-metadata');
  call.waiting('xapi to record the disk');
  await introduceVdi(await call.xapi(), call.profile.dbIntroduceArity, {
    uuid: plan.uuid,
    sr: srRefOf(call),
    nameLabel,
    nameDescription,
    type: vdiType,
    readOnly,
    smConfig: { ...vdiSmConfig, vdi_type: plan.kind },
    virtualSize: plan.virtualSizeBytes,
    physicalUtilisation: plan.lvSizeBytes,
    metadataOfPool: pool,
    isASnapshot,
    snapshotTime,
    snapshotOf,
  });
  faultPoint('vdi-create.after-introduce');
}

/** The newest xapi chooses the uuid of some disks itself. */
function newUuid(call: SmCall): VdiUuid {
  return call.request.vdiUuid ?? call.request.newUuid ?? vdiUuid(randomUUID());
}

/** sm_config `type`, or 8.3's `image-format`. */
function kindOf(smConfig: StringRecord): VdiKind {
  const wanted = smConfig['type'] ?? smConfig['image-format'] ?? 'vhd';
  if (wanted === 'raw') return 'aio';
  if (wanted === 'vhd') return 'vhd';
  throw new RbdsrError('vdi-create', {
    what: 'this type of disk is not known',
    expected: 'raw or vhd',
    found: JSON.stringify(wanted.slice(0, 40)),
  });
}
