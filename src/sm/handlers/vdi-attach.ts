import { attachAnswer } from '../../datapath/attach-answer.ts';
import { mappedSr } from '../../sr/open-attached-sr.ts';
import type { Handler } from '../handler.ts';
import { structReply } from '../protocol/reply.ts';
import { vdiOf } from '../../sr/work/subject.ts';

/** Names the paths the disk will have from vdi_activate on; no connection, no program. */
export const handler: Handler = async (call) => {
  const sr = mappedSr(call);
  return structReply(
    attachAnswer(
      call.profile,
      { sr: sr.uuid, vdi: vdiOf(call) },
      { noCacheReason: 'SR_NOT_SUPPORTED', memoryPool: { name: sr.uuid } },
    ),
  );
};
