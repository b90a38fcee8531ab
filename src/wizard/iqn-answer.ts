import { RbdsrError } from '../base/error.ts';
import { MONITOR_PORT } from '../ceph/cluster/monitors.ts';
import { xmlDocument } from '../sm/protocol/probe-xml.ts';
import { selectable } from './selectable.ts';
import { besides, type WizardAnswer, wizardAnswer } from './wizard-answer.ts';

/**
 * The pools, as targets of an iSCSI server: SM error 96 with the list that XenCenter (`XenModel/Actions/SR/`) and Xen
 * Orchestra (`xo-server/src/api/sr.mjs`) read. `target` is echoed as typed, and the port always named, or the next step
 * would be for port 3260. 'pool-missing' where there is none: clients show an error's text, but of an empty list only
 * that it is empty.
 */
export function iqnAnswer(target: string, pools: readonly { readonly name: string }[]): WizardAnswer {
  const { shown, leftOut } = selectable('pool', pools);
  if (shown.length === 0) {
    throw new RbdsrError('pool-missing', {
      what: 'the cluster has no pool for RBD images',
      found: `${pools.length} pools with the application rbd${besides(leftOut)}`,
      todo: 'Make one on a monitor: `ceph osd pool create NAME`, then `rbd pool init NAME`.',
    });
  }
  const xml = xmlDocument(
    'iscsi-target-iqns',
    shown.map(({ name }, index) => [
      'TGT',
      [
        ['Index', String(index)],
        ['IPAddress', target],
        ['Port', String(MONITOR_PORT)],
        ['TargetIQN', name],
      ],
    ]),
  );
  return wizardAnswer(
    96,
    `Choose a pool as the target IQN: ${shown.length} are listed${besides(leftOut)}`,
    xml,
    leftOut,
  );
}
