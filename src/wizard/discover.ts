import { describeKeyTypes, keyTypeFor } from '../ceph/control/cluster-key-types.ts';
import type { MonitorHost } from '../ceph/control/ssh/monitor-host.ts';
import type { SmCall } from '../sm/handler.ts';
import { krbdOf } from '../sr/image/krbd-of-host.ts';
import type { Reply } from '../sm/protocol/reply.ts';
import { iqnAnswer } from './iqn-answer.ts';
import { lunAnswer } from './lun-answer.ts';
import type { DivertedConfig } from '../access/diverted-config.ts';
import { requireLogin } from '../sr/config/translate.ts';
import type { WizardAnswer } from './wizard-answer.ts';

/** The wizard's first and second step: which pools there are, which images. Reads only. */
export async function discover(call: SmCall, config: DivertedConfig): Promise<Reply> {
  const { target, pool } = config.wizard;
  requireLogin(config.wizard);
  const plane = await config.controlPlane(call);
  if (pool === undefined) {
    if (config.wizard.ssh !== undefined) await refuseUnusableCluster(call, await config.monitorHost(call));
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

/** 'cluster-incompatible' where no SR can come of it, since the cluster allows no key that this host can use. */
async function refuseUnusableCluster(call: SmCall, host: MonitorHost): Promise<void> {
  call.waiting('the monitor to say which keys its cluster allows');
  const { keyTypes } = await host.facts(call.deadline);
  call.log.info(describeKeyTypes(keyTypes));
  await keyTypeFor(keyTypes, krbdOf(call).keys, call.deadline);
}

function replyOf(call: SmCall, { fault, stderr, leftOut }: WizardAnswer): Reply {
  for (const line of leftOut) call.log.warn(line);
  return { value: null, fault, stderr };
}
