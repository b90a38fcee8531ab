import { RbdsrError } from '../../base/error.ts';
import { cbtLogOf } from '../../lvhd/cbt-log.ts';
import { planResize, resizeVolume } from '../../lvhd/ops/vdi-resize.ts';
import { changeVdi, vdiSmConfig } from '../../xapi/vdi.ts';
import { noteSrTotals } from '../../sr/sr-totals.ts';
import { holdDevice } from '../../sr/held-device.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import type { Handler } from '../handler.ts';
import { activeHosts } from '../../sr/hosts/host-keys.ts';
import { markedInEarnest } from '../../sr/hosts/marked-hosts.ts';
import { endTrackingBeforeWriting } from '../../sr/disk/changed-blocks.ts';
import { readDisk } from '../../sr/read-disks.ts';
import { recoveredNodes } from '../../sr/recovered-sr.ts';
import { vdiReply } from '../protocol/reply.ts';
import { sizeArgument } from '../arguments.ts';
import { vdiOf, vdiRefOf } from '../../sr/work/subject.ts';

/** Grows a disk that no host has active. What a cut leaves: src/lvhd/ops/vdi-resize.ts. */
export const handler: Handler = async (call) => {
  const vdi = vdiOf(call);
  const ref = vdiRefOf(call);
  const sizeBytes = sizeArgument(call, 0);
  const { sr } = holdDevice(call, await openAttachedSr(call));
  const xapi = await call.xapi();
  const { report, tree } = await recoveredNodes(call, sr, () => readDisk(call, sr, vdi));
  const node = tree.get(vdi);
  if (node.hidden) throw new RbdsrError('vdi-unavailable', { what: `VDI ${vdi} is hidden: it is the base of others` });
  const host = await markedInEarnest(call, activeHosts(await vdiSmConfig(xapi, ref)), { srLocked: true });
  if (host !== undefined || node.open) {
    throw new RbdsrError(host?.code ?? 'vdi-in-use', {
      what: `VDI ${vdi} cannot be resized while it is active`,
      found: host === undefined ? 'it is open on this host' : host.found,
      todo: host === undefined ? 'Shut the VM down or unplug the disk first.' : host.todo,
    });
  }
  const plan = planResize(node, sizeBytes, sr.allocation, call.profile.maxVirtualSizeBytes);
  if (plan === undefined) return vdiReply(vdi);
  await endTrackingBeforeWriting(call, sr, report, vdi, true);
  call.waiting(`LVM to grow ${node.lvName} to ${plan.lvSizeBytes} bytes`);
  await resizeVolume(sr, report, node, plan);
  call.waiting('xapi to record the new size');
  await changeVdi(xapi, ref, { virtualSize: plan.virtualSizeBytes, physicalUtilisation: plan.lvSizeBytes });
  const freed = cbtLogOf(report, vdi)?.sizeBytes ?? 0;
  const freeBytes = report.freeBytes + freed - (plan.lvSizeBytes - node.lvSizeBytes);
  await noteSrTotals(call, () => ({ ...report, freeBytes }), { delta: plan.virtualSizeBytes - node.virtualSizeBytes });
  return vdiReply(vdi);
};
