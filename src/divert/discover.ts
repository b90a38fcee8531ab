import type { SmCall } from '../sm/handler.ts';
import type { Reply } from '../sm/reply.ts';
import { iqnAnswer } from './iqn-answer.ts';
import { lunAnswer } from './lun-answer.ts';
import type { DivertedConfig } from './diverted-config.ts';
import { requireLogin } from './translate.ts';
import type { WizardAnswer } from './wizard-answer.ts';

/** The wizard's first and second step: which pools there are, which images. Reads only, and asks the monitor one thing. */
export async function discover(call: SmCall, config: DivertedConfig): Promise<Reply> {
  const { target, pool } = config.wizard;
  requireLogin(config.wizard);
  const plane = await config.controlPlane(call);
  if (pool === undefined) {
    call.waiting('the cluster to list its pools');
    return replyOf(call, iqnAnswer(target, await plane.listPools(call.deadline)));
  }
  call.waiting(`the cluster to list the images of pool ${pool}`);
  const images = await plane.listImages(pool, undefined, call.deadline);
  return replyOf(
    call,
    lunAnswer(
      pool,
      images.map(({ spec, sizeBytes }) => ({ name: spec.image, sizeBytes })),
    ),
  );
}

function replyOf(call: SmCall, { fault, stderr, leftOut }: WizardAnswer): Reply {
  for (const line of leftOut) call.log.warn(line);
  return { value: null, fault, stderr };
}
