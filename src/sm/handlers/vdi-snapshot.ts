import { RbdsrError } from '../../base/error.ts';
import { endTrackingBeforeWriting } from '../../sr/disk/changed-blocks.ts';
import { resumeLeftPaused } from '../../sr/disk/paused.ts';
import { type SnapshotOrder, takeSnapshot } from '../../sr/disk/take-snapshot.ts';
import { holdDevice } from '../../sr/held-device.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import { readDisk } from '../../sr/read-disks.ts';
import { recoveredNodes } from '../../sr/recovered-sr.ts';
import { vdiOf, vdiRefOf } from '../../sr/work/subject.ts';
import { wakeAtEnd } from '../../sr/work/wake-at-end.ts';
import { type VdiRecord, vdiRecord } from '../../xapi/vdi.ts';
import type { Handler } from '../handler.ts';
import { vdiReply } from '../protocol/reply.ts';

/** A snapshot or clone of a disk, which may be in use on any host. What a cut leaves: src/sr/disk/take-snapshot.ts. */
export const handler: Handler = async (call) => {
  const { command, driverParams = {} } = call.request;
  const vdi = vdiOf(call);
  const { sr } = holdDevice(call, await openAttachedSr(call));
  const record = await vdiRecord(await call.xapi(), vdiRefOf(call));
  refuseType(record);
  refuseMirror(driverParams['mirror']);
  const nodes = await recoveredNodes(call, sr, () => readDisk(call, sr, vdi));
  await resumeLeftPaused(call, sr, [record], nodes.report);
  await endTrackingBeforeWriting(call, sr, nodes.report, vdi, true);
  const as = command === 'vdi_clone' ? 'clone' : 'snapshot';
  const taken = await takeSnapshot(call, sr, nodes, { record, as, mode: modeOf(as, driverParams['type']) });
  // The new base may be all that hangs on what the disk hung on.
  if (nodes.tree.find(vdi)?.parentUuid !== undefined) await wakeAtEnd(call);
  return vdiReply(taken);
};

function modeOf(as: SnapshotOrder['as'], type: string | undefined): SnapshotOrder['mode'] {
  return as === 'snapshot' && (type === 'single' || type === 'internal') ? type : 'double';
}

/** Raw by its maker's wish: xapi copies such a disk block by block when it is told so. */
function refuseType({ uuid, smConfig, type }: VdiRecord): void {
  if (smConfig['type'] !== 'raw' && type !== 'ha_statefile' && type !== 'redo_log') return;
  throw new RbdsrError('unimplemented', {
    what: `VDI ${uuid} is raw, and no snapshot or clone is made of it`,
    todo: 'Copy it instead: xe vdi-copy.',
  });
}

function refuseMirror(mirror: string | undefined): void {
  if (mirror === undefined || mirror === 'null') return;
  throw new RbdsrError('unimplemented', {
    what: 'the writes of a disk are not mirrored, as the storage motion of a running VM needs it',
    todo: 'Move the disk while its VM is shut down.',
  });
}
