import { formatBytes } from '../../base/units.ts';
import { formatSpec } from '../../ceph/image/image-spec.ts';
import { krbdAt } from '../../sr/image/krbd-of-host.ts';
import type { Mapping } from '../../ceph/krbd/mapping.ts';
import { type StaleMapping, staleMappings } from '../../ceph/krbd/stale-mappings.ts';
import { describeOpeners, openersOf } from '../../system/openers.ts';
import type { CliCall } from '../cli-call.ts';
import { jsonText } from '../json.ts';
import { claimsOf } from './host-claims.ts';
import { renderTable } from '../table.ts';

/** `rbdsr mappings`: what is mapped, and why what no plugged SR uses may be there. 1 when there is such a one. */
export async function showMappings(call: CliCall, json: boolean): Promise<number> {
  const mappings = krbdAt(call.root).list();
  const { claims, problem } = await claimsOf(call.root);
  const stale = claims === undefined ? [] : staleMappings(mappings, claims, usersOf);
  if (json) {
    const content = mappings.map((mapping) => {
      const { reason, explanation } = stale.find((entry) => entry.mapping === mapping) ?? {};
      return Object.assign({}, mapping, { inUseBy: usersOf(mapping), stale: reason, explanation });
    });
    call.print(jsonText({ mappings: content, problem }));
  } else {
    call.print(mappings.length === 0 ? 'No RBD image is mapped on this host.\n' : tableOf(mappings, stale));
    for (const { explanation } of stale) call.print(`\n${explanation}\n`);
    if (problem !== undefined) call.stderr.write(`\n${problem}\n`);
  }
  return stale.length === 0 && problem === undefined ? 0 : 1;
}

function tableOf(mappings: readonly Mapping[], stale: readonly StaleMapping[]): string {
  const rows = mappings.map((mapping) => [
    mapping.device,
    formatSpec(mapping.spec),
    formatBytes(mapping.sizeBytes),
    mapping.fsid ?? 'unknown',
    mapping.clientAddress ?? mapping.clientId ?? '',
    usersOf(mapping) ?? 'nobody',
    stale.find((entry) => entry.mapping === mapping)?.reason ?? '',
  ]);
  return renderTable(['device', 'image', 'size', 'cluster', 'client', 'in use by', 'stale'], rows);
}

function usersOf(mapping: Mapping): string | undefined {
  return describeOpeners(openersOf(mapping));
}
