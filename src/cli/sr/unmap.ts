import { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import { formatSpec } from '../../ceph/image/image-spec.ts';
import { krbdAt } from '../../sr/image/krbd-of-host.ts';
import { staleMappings } from '../../ceph/krbd/stale-mappings.ts';
import type { CliCall } from '../cli-call.ts';
import { claimsOf } from './host-claims.ts';

const UNMAP_MS = 60_000;

/**
 * `rbdsr unmap`: takes away a mapping that no plugged SR uses. 'sr-in-use', 'device-busy' or 'device-missing' change
 * nothing.
 */
export async function unmapDevice(call: CliCall, device: string): Promise<number> {
  const krbd = krbdAt(call.root);
  const mappings = krbd.list();
  const mapping = mappings.find((candidate) => candidate.device === device);
  if (mapping === undefined) {
    throw new RbdsrError('device-missing', {
      what: `${device} is not a mapped RBD image`,
      expected:
        mappings.length === 0 ? 'one; there is none' : `one of ${mappings.map((entry) => entry.device).join(', ')}`,
    });
  }
  const { claims, problem } = await claimsOf(call.root);
  if (claims === undefined) {
    throw new RbdsrError('sr-in-use', {
      what: `whether an SR uses ${device} is not known`,
      ...(problem === undefined ? {} : { found: problem }),
      todo: 'Start xapi, then try again.',
    });
  }
  if (!staleMappings(mappings, claims).some((entry) => entry.mapping === mapping)) {
    throw new RbdsrError('sr-in-use', {
      what: `${device} (${formatSpec(mapping.spec)}) belongs to an SR that is plugged on this host`,
      todo: 'Unplug its PBD instead: "xe pbd-unplug uuid=PBD".',
    });
  }
  await krbd.unmap(mapping, Deadline.after(UNMAP_MS));
  call.print(`${device} (${formatSpec(mapping.spec)}) is not mapped any more.\n`);
  return 0;
}
