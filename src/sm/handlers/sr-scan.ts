import { holdDevice } from '../../sr/held-device.ts';
import { openAttachedSr } from '../../sr/open-attached-sr.ts';
import type { Handler } from '../handler.ts';
import { unitReply } from '../protocol/reply.ts';

/** The code of a scan is loaded only for an SR that is there. */
export const handler: Handler = async (call) => {
  const { sr } = holdDevice(call, await openAttachedSr(call));
  const { scanSr } = await import('../../sr/scan.ts');
  await scanSr(call, sr);
  return unitReply;
};
