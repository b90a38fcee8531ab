import type { Handler } from '../handler.ts';
import { unitReply } from '../protocol/reply.ts';

/** xapi marks the end of a VM's life; nothing of ours depends on it. */
export const handler: Handler = async () => unitReply;
