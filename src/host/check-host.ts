import { hasCode } from '../base/error.ts';
import { isStruct } from '../xmlrpc/value.ts';
import { CHANGES } from './change-list.ts';
import { withLocalXapi } from './driver-srs.ts';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';

/** Every part of the installation as it is now, one finding or more each, in the order in which enable makes them. */
export async function checkHost(host: Host): Promise<readonly Finding[]> {
  return [...journalFinding(host), ...CHANGES.flatMap((change) => change.check(host)), ...(await xapiFinding(host))];
}

/** "XenServer 8.3 (8.3b)": what the host was taken for. */
export function titleOf(host: Host): string {
  return `${host.profile.title} (${host.inventory.productVersion.join('.')})`;
}

function journalFinding(host: Host): readonly Finding[] {
  const part = 'state';
  const content = host.journal.content;
  if (content === undefined)
    return [{ part, state: 'missing', what: 'RBDSR is not enabled here', todo: 'rbdsr enable' }];
  if (content.state !== 'enabled') {
    const verb = content.state === 'enabling' ? 'enable' : 'disable';
    return [{ part, state: 'changed', what: `rbdsr ${verb} was cut short`, todo: `rbdsr ${verb}` }];
  }
  if (content.product !== host.product) {
    const what = `was enabled by version ${content.product}, this is ${host.product}`;
    return [{ part, state: 'changed', what, todo: 'rbdsr enable' }];
  }
  return [{ part, state: 'ok', what: `enabled by version ${content.product}` }];
}

/** Whether xapi has been restarted since: it looks for drivers only when it starts. */
async function xapiFinding(host: Host): Promise<readonly Finding[]> {
  if (host.journal.content === undefined) return [];
  const part = 'xapi';
  try {
    const knows = await withLocalXapi(host.root, async (xapi) => {
      const records = await xapi.call('SM.get_all_records');
      return isStruct(records) && Object.values(records).some((sm) => isStruct(sm) && sm['type'] === 'rbd');
    });
    if (knows) return [{ part, state: 'ok', what: 'knows SR type rbd' }];
    return [{ part, state: 'changed', what: 'does not know SR type rbd yet', todo: 'xe-toolstack-restart' }];
  } catch (error) {
    if (!hasCode(error, 'xapi-unreachable', 'xapi-failure', 'deadline')) throw error;
    return [{ part, state: 'not-needed', what: 'does not run: whether it knows SR type rbd was not asked' }];
  }
}
