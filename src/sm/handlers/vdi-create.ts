import { randomUUID } from 'node:crypto';
import { RbdsrError } from '../../base/error.ts';
import { undo } from '../../base/undo.ts';
import { type VdiUuid, vdiUuid } from '../../base/ids.ts';
import { checkPlan, createVolume, planVdi, unfinishedVolumes, type VdiPlan } from '../../lvhd/ops/vdi-create.ts';
import type { VdiKind } from '../../lvhd/names.ts';
import type { VgReport } from '../../lvm/report.ts';
import { faultPoint } from '../../system/fault-point.ts';
import { introduceVdi } from '../../xapi/vdi.ts';
import { type AttachedSr, openAttachedSr, reportOf, noteSrTotals, withMetadata } from '../../sr/attached-sr.ts';
import { holdDevice } from '../../sr/held-device.ts';
import type { Handler, SmCall } from '../handler.ts';
import { checkXmlText } from '../protocol/illegal-xml.ts';
import { orRebuild } from '../../sr/metadata-refusal.ts';
import { recoveredReport } from '../../sr/recovered-sr.ts';
import { vdiReply } from '../protocol/reply.ts';
import type { StringMap } from '../../xapi/values.ts';
import { kindKeys } from '../../sr/disk/vdi-kind.ts';
import { sizeArgument } from '../arguments.ts';
import { srRefOf } from '../../sr/work/subject.ts';

/**
 * Data before what points to it: the volume, the metadata record, xapi's record. After a failure none of them is left.
 *
 * | step | a cut after it leaves |
 * |---|---|
 * | the steps of `createVolume` (src/lvhd/ops/vdi-create.ts) | see there |
 * | `vdi-create.after-metadata` | a whole disk with its names: the next sr_scan introduces it |
 * | `vdi-create.after-introduce` | a disk that xapi has; only the SR's totals are old until the next scan |
 */
export const handler: Handler = async (call) => {
  const { args, vdiSmConfig = {} } = call.request;
  const [, nameLabel = '', nameDescription = ''] = args;
  checkXmlText('the name of the disk', nameLabel);
  checkXmlText('the description of the disk', nameDescription);
  const { sr } = holdDevice(call, await openAttachedSr(call));
  const plan = planVdi({
    uuid: newUuid(call),
    kind: kindOf(vdiSmConfig),
    sizeBytes: sizeArgument(call, 0),
    allocation: sr.allocation,
    maxSizeBytes: call.profile.maxVirtualSizeBytes,
  });
  const report = await cleanReport(call, sr);
  checkPlan(plan, report);
  await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.checkSpace(), report));
  call.waiting(`LVM to make ${plan.lvName} of ${plan.lvSizeBytes} bytes`);
  await createVolume(sr, plan);
  try {
    await record(call, sr, plan, report);
  } catch (error) {
    return undo(error, {
      'its metadata record': () => withMetadata(sr, (mgt) => mgt.delete(plan.uuid), report),
      [`the volume ${plan.lvName}`]: () => sr.lvm.forCleanUp().removeLv(plan.lvName),
    });
  }
  const freeBytes = report.freeBytes - plan.lvSizeBytes;
  await noteSrTotals(call, () => ({ ...report, freeBytes }), { delta: plan.virtualSizeBytes });
  return vdiReply(plan.uuid);
};

async function record(call: SmCall, sr: AttachedSr, plan: VdiPlan, report: VgReport): Promise<void> {
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
  const metadata = {
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
  };
  await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.add(metadata), report));
  faultPoint('vdi-create.after-metadata');
  call.waiting('xapi to record the disk');
  await introduceVdi(await call.xapi(), call.profile.dbIntroduceArity, {
    uuid: plan.uuid,
    sr: srRefOf(call),
    nameLabel,
    nameDescription,
    type: vdiType,
    readOnly,
    smConfig: { ...vdiSmConfig, ...kindKeys(plan.kind, call.profile) },
    virtualSize: plan.virtualSizeBytes,
    physicalUtilisation: plan.lvSizeBytes,
    metadataOfPool: pool,
    isASnapshot,
    snapshotTime,
    snapshotOf,
  });
  faultPoint('vdi-create.after-introduce');
}

/** The volume group without interrupted operations and without the volumes of creations that were cut short. */
async function cleanReport(call: SmCall, sr: AttachedSr): Promise<VgReport> {
  const report = await recoveredReport(call, sr);
  const unfinished = unfinishedVolumes(report);
  if (unfinished.length === 0) return report;
  await sr.lvm.removeLvs(unfinished.map(({ name }) => name));
  return reportOf(sr);
}

/** The newest xapi chooses the uuid of some disks itself. */
function newUuid(call: SmCall): VdiUuid {
  return call.request.vdiUuid ?? call.request.newUuid ?? vdiUuid(randomUUID());
}

/** sm_config `type`, or 8.3's `image-format`. */
function kindOf(smConfig: StringMap): VdiKind {
  const wanted = smConfig['type'] ?? smConfig['image-format'] ?? 'vhd';
  if (wanted === 'raw') return 'aio';
  if (wanted === 'vhd') return 'vhd';
  throw new RbdsrError('vdi-create', {
    what: 'this type of disk is not known',
    expected: 'raw or vhd',
    found: JSON.stringify(wanted.slice(0, 40)),
  });
}
