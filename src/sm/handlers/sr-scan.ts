import { openAttachedSr } from '../attached-sr.ts';
import type { Handler } from '../handler.ts';
import { unitReply } from '../reply.ts';
import { scanSr } from '../scan.ts';

export const handler: Handler = async (call) => {
  const sr = await openAttachedSr(call);
  await scanSr(call, sr);
  return unitReply;
};
