import { hasCode, messageOf, RbdsrError } from '../../base/error.ts';
import { checkDeletable, hideVdi, markDeleted } from '../../lvhd/ops/vdi-delete.ts';
import type { VgReport } from '../../lvm/report.ts';
import { faultPoint } from '../../system/fault-point.ts';
import { isGone } from '../../xapi/failure.ts';
import { forgetVdi, type VdiRecord, vdiRecord } from '../../xapi/vdi.ts';
import { type AttachedSr, noteSrTotals, openAttachedSr, withMetadata } from '../../sr/attached-sr.ts';
import { holdDevice } from '../../sr/held-device.ts';
import type { Handler, SmCall } from '../handler.ts';
import { activeHosts } from '../../sr/hosts/host-keys.ts';
import { markedInEarnest } from '../../sr/hosts/marked-hosts.ts';
import { orRebuild } from '../../sr/metadata-refusal.ts';
import { readDisks } from '../../sr/read-disks.ts';
import { recoveredNodes } from '../../sr/recovered-sr.ts';
import { unitReply } from '../protocol/reply.ts';
import { vdiOf, vdiRefOf } from '../../sr/work/subject.ts';

/**
 * What points to the disk before its data, and first the mark that keeps it from coming back.
 *
 * | step | a cut after it leaves |
 * |---|---|
 * | `vdi-delete.after-hidden` | a disk no scan shows: the next sr_scan, or deleting it again, goes on |
 * | `vdi-delete.after-mark`: the tag that says it was a disk | the same |
 * | `vdi-delete.after-metadata` | the same |
 * | `vdi-delete.after-forget` | a hidden volume without records, which only takes room: the next sr_scan removes it |
 * | `vdi-delete.after-lv` | the SR's totals are old until the next scan |
 */
export const handler: Handler = async (call) => {
  const vdi = vdiOf(call);
  const { sr } = holdDevice(call, await openAttachedSr(call));
  const record = await recordOf(call);
  if (record?.managed === false) {
    throw new RbdsrError('vdi-delete', { what: 'Deleting non-leaf node not permitted', found: `VDI ${vdi}` });
  }
  const host = await markedInEarnest(call, activeHosts(record?.smConfig ?? {}), { srLocked: true });
  if (host !== undefined) {
    const { title, found, todo, code } = host;
    throw new RbdsrError(code, { what: `VDI ${vdi} is active on host ${title}`, found, todo });
  }
  const { report, tree } = await recoveredNodes(call, sr, () => readDisks(call, sr));
  const node = tree.find(vdi);
  if (node !== undefined) {
    checkDeletable(node, tree, { isUsers: record?.managed === true });
    // Refused while the disk is still whole and visible.
    await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.read(), report));
    // A header that nobody can read hides nothing, and may be readable later: then the mark has to do.
    if (node.scanError === undefined) {
      await hideVdi(sr, report, node);
      faultPoint('vdi-delete.after-hidden');
    }
    await markDeleted(sr, report, node);
    faultPoint('vdi-delete.after-mark');
  }
  await forget(call, sr, report);
  const removed = node !== undefined && (await removeVolume(call, sr, node.lvName));
  const freeBytes = report.freeBytes + (removed ? node.lvSizeBytes : 0);
  await noteSrTotals(call, () => ({ ...report, freeBytes }), { delta: -(record?.virtualSize ?? 0) });
  return unitReply;
};

async function recordOf(call: SmCall): Promise<VdiRecord | undefined> {
  try {
    return await vdiRecord(await call.xapi(), vdiRefOf(call));
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

async function forget(call: SmCall, sr: AttachedSr, report: VgReport): Promise<void> {
  await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.delete(vdiOf(call)), report));
  faultPoint('vdi-delete.after-metadata');
  call.waiting('xapi to forget the disk');
  await forgetVdi(await call.xapi(), vdiRefOf(call));
  faultPoint('vdi-delete.after-forget');
}

/** The disk is gone for everybody by now: a volume that something holds is left to the next sr_scan. */
async function removeVolume(call: SmCall, sr: AttachedSr, name: string): Promise<boolean> {
  call.waiting(`LVM to remove ${name}`);
  try {
    await sr.lvm.removeLv(name);
    faultPoint('vdi-delete.after-lv');
    return true;
  } catch (error) {
    if (!hasCode(error, 'device-busy', 'lvm-delete')) throw error;
    call.log.warn(`SR ${sr.uuid}: ${name} stays, hidden: ${messageOf(error)}`);
    return false;
  }
}
