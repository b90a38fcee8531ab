import { RbdsrError } from '../../base/error.ts';
import type { Handler } from '../handler.ts';
import { unitReply } from '../protocol/reply.ts';

/**
 * xapi marks the start of a VM's life. Only a disk that forgets its changes would need work, and its empty child is a
 * VHD chain.
 */
export const handler: Handler = async ({ request }) => {
  if (request.vdiOnBoot !== 'reset') return unitReply;
  throw new RbdsrError('unimplemented', {
    what: 'vdi_epoch_begin with on-boot=reset is not supported',
    todo: 'This version of RBDSR cannot reset a disk at boot; run "xe vdi-param-set on-boot=persist uuid=VDI".',
  });
};
