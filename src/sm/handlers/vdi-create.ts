import { randomUUID } from 'node:crypto';
import { RbdsrError } from '../../base/error.ts';
import { type Step, step } from '../../base/steps.ts';
import { undo } from '../../base/undo.ts';
import { type VdiUuid, vdiUuid } from '../../base/ids.ts';
import { checkPlan, createVolume, planVdi, type VdiPlan } from '../../lvhd/ops/vdi-create.ts';
import type { VdiKind } from '../../lvhd/names.ts';
import type { VgReport } from '../../lvm/report.ts';
import { runSteps } from '../../system/running-steps.ts';
import { introduceVdi } from '../../xapi/vdi.ts';
import type { AttachedSr } from '../../sr/attached-sr.ts';
import { holdDevice } from '../../sr/held-device.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import { withMetadata } from '../../sr/read-sr.ts';
import { noteSrTotals } from '../../sr/sr-totals.ts';
import { withoutUnfinished } from '../../sr/without-unfinished.ts';
import type { Handler, SmCall } from '../handler.ts';
import { checkXmlText } from '../protocol/request.ts';
import { orRebuild } from '../../sr/metadata-refusal.ts';
import { recoveredReport } from '../../sr/recovered-sr.ts';
import { vdiReply } from '../protocol/reply.ts';
import type { StringMap } from '../../xapi/values.ts';
import { kindKeys } from '../../sr/disk/vdi-kind.ts';
import { sizeArgument } from '../arguments.ts';
import { srRefOf } from '../../sr/work/subject.ts';

/** Data before what points to it: the volume, the metadata record, xapi's record. After a failure none is left. */
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
  const report = await withoutUnfinished(sr, await recoveredReport(call, sr));
  checkPlan(plan, report);
  await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.checkSpace(), report));
  call.waiting(`LVM to make ${plan.lvName} of ${plan.lvSizeBytes} bytes`);
  await createVolume(sr, plan, report);
  try {
    await runSteps(recordSteps, { call, sr, plan, report });
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

/** The recording of a disk whose volume is made. */
interface Recording {
  readonly call: SmCall;
  readonly sr: AttachedSr;
  readonly plan: VdiPlan;
  readonly report: VgReport;
}

/** They follow those of the volume (src/lvhd/ops/vdi-create.ts). */
export const recordSteps: readonly Step<Recording>[] = [
  step('vdi-create.after-metadata', addMetadata, {
    does: 'record in the metadata volume',
    leaves: { id: 'volume-and-metadata', says: 'a disk with its name' },
    mendedBy: { by: ['sr_scan'], says: 'sr_scan introduces it' },
  }),
  step('vdi-create.after-introduce', introduce, {
    does: 'record in xapi',
    leaves: { id: 'disk', says: "the SR's totals are old" },
    mendedBy: { by: ['sr_scan'], says: 'sr_scan' },
  }),
];

async function addMetadata({ call, sr, plan, report }: Recording): Promise<void> {
  const { args, vdiType = 'user' } = call.request;
  const [, nameLabel = '', nameDescription = '', , , , , ro = ''] = args;
  const metadata = {
    uuid: plan.uuid,
    nameLabel,
    nameDescription,
    isASnapshot: false,
    snapshotOf: '',
    snapshotTime: '',
    type: vdiType,
    vdiType: plan.kind,
    readOnly: ro === 'true',
    managed: true,
    metadataOfPool: '',
  };
  await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.add(metadata), report));
}

async function introduce({ call, plan }: Recording): Promise<void> {
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
  call.waiting('xapi to record the disk');
  await introduceVdi(await call.xapi(), call.profile.dbIntroduceArity, {
    uuid: plan.uuid,
    sr: srRefOf(call),
    nameLabel,
    nameDescription,
    type: vdiType,
    readOnly: ro === 'true',
    smConfig: { ...vdiSmConfig, ...kindKeys(plan.kind, call.profile) },
    virtualSize: plan.virtualSizeBytes,
    physicalUtilisation: plan.lvSizeBytes,
    metadataOfPool: pool,
    isASnapshot: snapshot === 'true',
    snapshotTime,
    snapshotOf,
  });
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
