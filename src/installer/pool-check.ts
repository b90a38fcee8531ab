import { hasCode, messageOf } from '../base/error.ts';
import { allHosts, callPlugin, type HostRecord } from '../xapi/host.ts';
import type { Xapi } from '../xapi/client.ts';
import { withLocalXapi } from '../access/driver-srs.ts';
import { type Host, plainVersion } from './host.ts';

/** What one host of the pool says. */
export interface PoolMember {
  readonly name: string;
  readonly uuid: string;
  readonly state: 'same' | 'other-version' | 'none' | 'unknown';
  readonly version?: string;
  readonly problem?: string;
}

/**
 * Asks our host plug-in on every host of the pool; one that does not have it has no RBDSR: a host that has just joined,
 * for instance.
 */
export async function checkPool(host: Host): Promise<readonly PoolMember[]> {
  return withLocalXapi(host.root, async (xapi) => {
    const members = (await allHosts(xapi)).sort((a, b) => a.nameLabel.localeCompare(b.nameLabel));
    const answers: PoolMember[] = [];
    for (const member of members) answers.push(await askMember(xapi, member, host.product));
    return answers;
  });
}

async function askMember(xapi: Xapi, member: HostRecord, ours: string): Promise<PoolMember> {
  const { uuid, nameLabel: name } = member;
  try {
    const version = plainVersion(await callPlugin(xapi, member.ref, 'rbdsr', 'version', {}));
    return { name, uuid, version, state: version === ours ? 'same' : 'other-version' };
  } catch (error) {
    if (hasCode(error, 'xapi-failure') && error.detail.facts?.['xapiCode'] === 'XENAPI_MISSING_PLUGIN') {
      return { name, uuid, state: 'none' };
    }
    return { name, uuid, state: 'unknown', problem: messageOf(error) };
  }
}
