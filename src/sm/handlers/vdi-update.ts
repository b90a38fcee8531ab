import { hasCode } from '../../base/error.ts';
import { vdiRecord } from '../../xapi/vdi.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import { withMetadata } from '../../sr/read-sr.ts';
import type { Handler } from '../handler.ts';
import { checkXmlText } from '../protocol/request.ts';
import { updatesOfVdi } from '../../sr/metadata-of-vdi.ts';
import { orRebuild } from '../../sr/metadata-refusal.ts';
import { unitReply } from '../protocol/reply.ts';
import { vdiOf, vdiRefOf } from '../../sr/work/subject.ts';

/**
 * Copies the names xapi has of the disk to the metadata volume, from which another pool would read them. Only the SR
 * master writes there, under its lock: elsewhere nothing is done, and the master's next sr_attach brings the names.
 */
export const handler: Handler = async (call) => {
  const vdi = vdiOf(call);
  const sr = await openAttachedSr(call);
  const record = await vdiRecord(await call.xapi(), vdiRefOf(call));
  checkXmlText('the name of the disk', record.nameLabel);
  checkXmlText('the description of the disk', record.nameDescription);
  if (!call.request.srMaster) return unitReply;
  const lock = await call.lockSr(sr.uuid);
  try {
    await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.updateVdi(vdi, updatesOfVdi(record))));
  } catch (error) {
    if (!hasCode(error, 'vdi-missing')) throw error;
    call.log.warn(`SR ${sr.uuid}: VDI ${vdi} has no metadata record to update`);
  } finally {
    await lock.release();
  }
  return unitReply;
};
