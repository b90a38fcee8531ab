import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import type { Handler } from '../handler.ts';
import { unitReply } from '../protocol/reply.ts';
import { scanSr } from '../../sr/scan.ts';

export const handler: Handler = async (call) => {
  const sr = await openAttachedSr(call);
  await scanSr(call, sr);
  return unitReply;
};
