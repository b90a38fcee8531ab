import { srRecord } from '../../xapi/sr.ts';
import { openAttachedSr, reportOf, updateSrTotals, withMetadata } from '../attached-sr.ts';
import type { Handler } from '../handler.ts';
import { orRebuild } from '../metadata-refusal.ts';
import { unitReply } from '../reply.ts';

/** xapi calls it after an SR was renamed: sizes anew, and the names into the metadata volume, which only the SR master writes. */
export const handler: Handler = async (call) => {
  const { srRef, srMaster } = call.request;
  const sr = await openAttachedSr(call);
  const report = await reportOf(sr);
  await updateSrTotals(call, report);
  if (srMaster && srRef !== undefined) {
    const { nameLabel, nameDescription } = await srRecord(await call.xapi(), srRef);
    await orRebuild(sr.uuid, () => withMetadata(sr, (mgt) => mgt.updateSr({ nameLabel, nameDescription }), report));
  }
  return unitReply;
};
