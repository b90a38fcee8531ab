import { openAttachedSr } from '../../sr/attached-sr.ts';
import { holdDevice } from '../../sr/held-device.ts';
import type { Handler } from '../handler.ts';
import { unitReply } from '../protocol/reply.ts';
import { scanSr } from '../../sr/scan.ts';

export const handler: Handler = async (call) => {
  const { sr } = holdDevice(call, await openAttachedSr(call));
  await scanSr(call, sr);
  return unitReply;
};
