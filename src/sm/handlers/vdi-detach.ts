import type { Handler } from '../handler.ts';
import { unitReply } from '../protocol/reply.ts';

/** vdi_deactivate has done the work. */
export const handler: Handler = async () => unitReply;
