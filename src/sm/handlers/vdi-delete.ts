import { hasCode, messageOf, RbdsrError } from '../../base/error.ts';
import { type Mending, type Step, step } from '../../base/steps.ts';
import type { VdiNode } from '../../lvhd/lv-table.ts';
import { volumesByExtents } from '../../lvhd/extent-open.ts';
import { cbtLogOf } from '../../lvhd/cbt-log.ts';
import { foldLog } from '../../lvhd/ops/end-tracking.ts';
import { checkDeletable, hideVdi, markDeleted } from '../../lvhd/ops/vdi-delete.ts';
import type { VgReport } from '../../lvm/report.ts';
import { runSteps } from '../../system/running-steps.ts';
import { isGone } from '../../xapi/failure.ts';
import { forgetVdi, type VdiRecord, vdiRecord } from '../../xapi/vdi.ts';
import type { AttachedSr } from '../../sr/attached-sr.ts';
import { noteSrTotals } from '../../sr/sr-totals.ts';
import { holdDevice } from '../../sr/held-device.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import { withMetadata } from '../../sr/read-sr.ts';
import type { Handler, SmCall } from '../handler.ts';
import { activeHosts } from '../../sr/hosts/host-keys.ts';
import { markedInEarnest } from '../../sr/hosts/marked-hosts.ts';
import { orRebuild } from '../../sr/metadata-refusal.ts';
import { readDisks } from '../../sr/read-disks.ts';
import { recoveredNodes } from '../../sr/recovered-sr.ts';
import { unitReply } from '../protocol/reply.ts';
import { vdiOf, vdiRefOf } from '../../sr/work/subject.ts';
import { wakeAtEnd } from '../../sr/work/wake-at-end.ts';

/** What points to the disk before its data, and first the mark that keeps it from coming back. */
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
  if (node !== undefined) checkDeletable(node, tree, { isUsers: record?.managed === true });
  if (node !== undefined || cbtLogOf(report, vdi) !== undefined) {
    // Refused while the disk is still whole and visible.
    await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.read(), report));
  }
  const deletion: Deletion = { call, sr, report, freeBytes: report.freeBytes, ...(node === undefined ? {} : { node }) };
  await runSteps(deletionSteps, deletion);
  const { freeBytes } = deletion;
  await noteSrTotals(call, () => ({ ...report, freeBytes }), { delta: -(record?.virtualSize ?? 0) });
  // What it hung on may hang on nothing any more, or have one child left.
  if (node?.parentUuid !== undefined) await wakeAtEnd(call);
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

interface Deletion {
  readonly call: SmCall;
  readonly sr: AttachedSr;
  readonly report: VgReport;
  /** Missing where no volume is there any more. */
  readonly node?: VdiNode;
  freeBytes: number;
}

const goesOn: Mending = { by: ['sr_scan', 'again'], says: 'the next sr_scan, or vdi_delete again, goes on' };
const notShown = 'a disk no scan shows';

export const deletionSteps: readonly Step<Deletion>[] = [
  step('vdi-delete.after-hidden', hide, {
    does: 'the disk is hidden: in the footers of a VHD, by the tag `hidden` of a raw volume',
    leaves: { id: 'hidden', says: notShown },
    mendedBy: goesOn,
    // A header that nobody can read hides nothing, and may be readable later: then the mark has to do.
    when: ({ node }) => node !== undefined && node.scanError === undefined,
  }),
  step('vdi-delete.after-mark', mark, {
    does: 'its volume gets the tag `rbdsr-deleted`',
    leaves: { id: 'hidden-marked', says: `${notShown}, known as deleted` },
    mendedBy: goesOn,
    when: ({ node }) => node !== undefined,
  }),
  step('vdi-delete.after-log', removeLog, {
    does: 'what its log of changed blocks says is added to the next log, and the log is removed (`lvremove`)',
    leaves: { id: 'hidden-without-log', says: 'the same, without that log' },
    mendedBy: goesOn,
    when: ({ call, report }) => cbtLogOf(report, vdiOf(call)) !== undefined,
  }),
  step('vdi-delete.after-metadata', forgetMetadata, {
    does: 'its record in the metadata volume is deleted',
    leaves: { id: 'hidden-without-metadata', says: 'the same, without that record' },
    mendedBy: goesOn,
  }),
  step('vdi-delete.after-forget', forget, {
    does: 'its record in xapi is removed',
    leaves: { id: 'hidden-volume-only', says: 'a hidden volume that only takes room' },
    mendedBy: { by: ['sr_scan'], says: 'the next sr_scan, the stock garbage collector, or sr_delete' },
  }),
  step('vdi-delete.after-lv', removeVolume, {
    does: '`lvremove`',
    leaves: { id: 'totals', says: "the SR's totals are old" },
    mendedBy: { by: ['sr_scan'], says: 'sr_scan' },
    when: ({ node }) => node !== undefined,
  }),
];

async function hide({ sr, report, node }: Deletion): Promise<void> {
  if (node !== undefined) await hideVdi(sr, report, node);
}

async function mark({ sr, report, node }: Deletion): Promise<void> {
  if (node !== undefined) await markDeleted(sr, report, node);
}

async function removeLog(deletion: Deletion): Promise<void> {
  const { call, sr, report } = deletion;
  deletion.freeBytes += await foldLog(volumesByExtents(sr), report, vdiOf(call));
}

async function forgetMetadata({ call, sr, report }: Deletion): Promise<void> {
  await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.delete(vdiOf(call)), report));
}

async function forget({ call }: Deletion): Promise<void> {
  call.waiting('xapi to forget the disk');
  await forgetVdi(await call.xapi(), vdiRefOf(call));
}

/** The disk is gone for everybody by now: a volume that something holds is left to the next sr_scan. */
async function removeVolume(deletion: Deletion): Promise<void> {
  const { call, sr, node } = deletion;
  if (node === undefined) return;
  call.waiting(`LVM to remove ${node.lvName}`);
  try {
    await sr.lvm.removeLv(node.lvName);
    deletion.freeBytes += node.lvSizeBytes;
  } catch (error) {
    if (!hasCode(error, 'device-busy', 'lvm-delete')) throw error;
    call.log.warn(`SR ${sr.uuid}: ${node.lvName} stays, hidden: ${messageOf(error)}`);
  }
}
