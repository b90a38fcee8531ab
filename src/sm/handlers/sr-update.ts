import { hasCode } from '../../base/error.ts';
import { srRecord } from '../../xapi/sr.ts';
import { noteSrTotals } from '../../sr/sr-totals.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import { reportOf, withMetadata } from '../../sr/read-sr.ts';
import type { Handler } from '../handler.ts';
import { orRebuild } from '../../sr/metadata-refusal.ts';
import { unitReply } from '../protocol/reply.ts';

/**
 * xapi calls it after an SR was renamed, and at the end of every scan: sizes anew, and the names into the metadata
 * volume, which only the SR master writes. Where that is damaged, or missing, the scan has said so, and this succeeds:
 * xapi would scan again every 30 s for ever.
 */
export const handler: Handler = async (call) => {
  const { srRef, srMaster } = call.request;
  const sr = await openAttachedSr(call);
  const report = await reportOf(sr);
  await noteSrTotals(call, () => report);
  if (!srMaster || srRef === undefined) return unitReply;
  const { nameLabel, nameDescription } = await srRecord(await call.xapi(), srRef);
  try {
    await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.updateSr({ nameLabel, nameDescription }), report));
  } catch (error) {
    if (!hasCode(error, 'metadata-corrupt', 'lvm-missing')) throw error;
    call.log.warn(`SR ${sr.uuid}: its name is not written to its metadata: ${error.message}`);
  }
  return unitReply;
};
