import { type AttachAnswer, attachAnswer } from '../../datapath/attach-answer.ts';
import { type AttachedSr, attachedSr } from '../../sr/attached-sr.ts';
import { configOf, type Handler } from '../handler.ts';
import { structReply } from '../protocol/reply.ts';
import { imageSpecOf, type SrConfig } from '../../sr/config/sr-type.ts';
import { attachTarget } from '../../sr/disk/vdi-target.ts';
import { mapAnew } from '../../sr/image/map-anew.ts';
import { srOf, vdiOf } from '../../sr/work/subject.ts';
import type { SrWork } from '../../sr/work/work.ts';

/**
 * At boot, with xapi down: maps the image and makes the disk usable at once. Done already: every step finds its work
 * done.
 */
export const handler: Handler = async (call) => {
  const vdi = vdiOf(call);
  const sr = await attachForConfig(call, await configOf(call));
  const lock = await call.lockVdi(vdi);
  try {
    const node = await attachTarget(call, sr, vdi, { writable: true, grow: false });
    const answer = attachAnswer(
      call.profile,
      { sr: sr.uuid, vdi },
      { noCacheReason: 'SR_NOT_SUPPORTED', memoryPool: { name: sr.uuid } },
    );
    return structReply(usableAtBoot(answer, node.kind));
  } finally {
    await lock.release();
  }
};

/** Maps the image, or adopts the mapping that is there. */
async function attachForConfig(work: SrWork, config: SrConfig): Promise<AttachedSr> {
  const uuid = srOf(work);
  const spec = imageSpecOf(config);
  const access = await config.access(work);
  const { mapping } = await mapAnew(work, uuid, access, config, spec, {});
  return attachedSr(work, uuid, mapping, { spec, allocation: config.allocation });
}

/** static-vdis takes any `params_nbd` for a way to connect: only a complete URI may stand there. Pure. */
export function usableAtBoot(answer: AttachAnswer, kind: string): AttachAnswer {
  const { params_nbd: uri, xenstore_data: data, ...rest } = answer;
  const complete = typeof uri === 'string' && uri.includes(':exportname=');
  return {
    ...rest,
    ...(complete ? { params_nbd: uri } : {}),
    xenstore_data: { ...(typeof data === 'object' ? data : {}), 'storage-type': 'lvm', 'vdi-type': kind },
  };
}
