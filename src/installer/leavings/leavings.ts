import { messageOf } from '../../base/error.ts';
import { formatSpec, sameSpec } from '../../ceph/image/image-spec.ts';
import { recordFile } from '../../sr/attached-record.ts';
import { hostPaths } from '../../dom0/host-profile.ts';
import { krbdAt } from '../../sr/image/krbd-of-host.ts';
import { keyringFolder } from '../../sr/config/static-config.ts';
import { namesIn } from '../../system/files.ts';
import { type MappingClaim, staleMappings } from '../../ceph/krbd/stale-mappings.ts';
import { describeOpeners, openersOf } from '../../system/openers.ts';
import type { Xapi } from '../../xapi/client.ts';
import { allSrs, type SrRecord } from '../../xapi/sr.ts';
import { attachedSrs } from '../../sr/attached-srs.ts';
import { claimOf, driverSrs, withLocalXapi } from '../../access/driver-srs.ts';
import { type UnnamedSecret, unnamedSecrets } from './unnamed-secrets.ts';

/** Something on this host, or in xapi, that no SR needs any more. */
export interface Leaving {
  readonly kind: 'mapping' | 'record' | 'key file' | 'secret' | 'cephx user';
  readonly name: string;
  readonly why: string;
  readonly todo: string;
}

export interface Leavings {
  readonly leavings: readonly Leaving[];
  /** Why xapi could not say which SRs there are: then only what needs no xapi is listed. */
  readonly problem?: string;
}

/**
 * What an SR leaves behind that was forgotten, or whose host was reset, while it was plugged; with `inCluster` also
 * what that finds among all SRs of the pool. Reads only.
 */
export async function findLeavings(
  root: string,
  inCluster: (srs: readonly SrRecord[]) => Promise<readonly Leaving[]> = async () => [],
): Promise<Leavings> {
  const known = await whatIsKnown(root);
  if ('problem' in known) return { leavings: recordsWithoutMapping(root), problem: known.problem };
  const { claims, srs, secrets } = known;
  const uuids = new Set(srs.map(({ uuid }) => uuid));
  const leavings = [
    ...mappings(root, claims),
    ...records(root, claims),
    ...keyFiles(root, uuids),
    ...secrets.map(asLeaving),
  ];
  try {
    return { leavings: [...leavings, ...(await inCluster(srs))] };
  } catch (error) {
    return { leavings, problem: `What is left in the cluster is not known: ${messageOf(error)}` };
  }
}

async function whatIsKnown(root: string): Promise<Known | { readonly problem: string }> {
  try {
    return await withLocalXapi(root, knownTo);
  } catch (error) {
    return { problem: `Which SRs there are is not known: ${messageOf(error)}` };
  }
}

interface Known {
  readonly claims: readonly MappingClaim[];
  /** Every SR of the pool. */
  readonly srs: readonly SrRecord[];
  readonly secrets: readonly UnnamedSecret[];
}

async function knownTo(xapi: Xapi, host: string): Promise<Known> {
  return {
    claims: (await driverSrs(xapi, host)).flatMap(claimOf),
    srs: await allSrs(xapi),
    secrets: await unnamedSecrets(xapi),
  };
}

function mappings(root: string, claims: readonly MappingClaim[]): readonly Leaving[] {
  const users = (mapping: Parameters<typeof openersOf>[0]): string | undefined => describeOpeners(openersOf(mapping));
  return staleMappings(krbdAt(root).list(), claims, users).map(({ mapping, explanation }) => ({
    kind: 'mapping',
    name: mapping.device,
    why: explanation,
    todo: `rbdsr unmap ${mapping.device}`,
  }));
}

function records(root: string, claims: readonly MappingClaim[]): readonly Leaving[] {
  const plugged = new Set(claims.filter(({ attached }) => attached).map(({ srUuid }) => srUuid));
  return attachedSrs(root)
    .filter(({ uuid }) => !plugged.has(uuid))
    .map(({ uuid, spec }) => ({
      kind: 'record',
      name: recordFile(hostPaths(root, ''), uuid),
      why: `says that SR ${uuid} (image ${formatSpec(spec)}) is attached, but it is not plugged on this host`,
      todo: `plug it, or rm ${recordFile(hostPaths(root, ''), uuid)}`,
    }));
}

function recordsWithoutMapping(root: string): readonly Leaving[] {
  const mapped = krbdAt(root).list();
  return attachedSrs(root)
    .filter(({ spec }) => !mapped.some((mapping) => sameSpec(mapping.spec, spec)))
    .map(({ uuid, spec }) => ({
      kind: 'record',
      name: recordFile(hostPaths(root, ''), uuid),
      why: `says that SR ${uuid} is attached, but its image ${formatSpec(spec)} is not mapped`,
      todo: `plug it, or rm ${recordFile(hostPaths(root, ''), uuid)}`,
    }));
}

/** vdi_generate_config writes them, for HA. */
function keyFiles(root: string, srs: ReadonlySet<string>): readonly Leaving[] {
  const folder = keyringFolder(root);
  return namesIn(folder).flatMap((name): Leaving[] => {
    const sr = name.replace(/\.keyring$/, '');
    if (sr === name || srs.has(sr)) return [];
    const file = `${folder}/${name}`;
    return [
      {
        kind: 'key file',
        name: file,
        why: `holds the cephx key of SR ${sr}, which is not in this pool`,
        todo: `rm ${file}`,
      },
    ];
  });
}

function asLeaving({ uuid, isOurs }: UnnamedSecret): Leaving {
  return {
    kind: 'secret',
    name: uuid,
    why: isOurs
      ? 'a xapi secret that RBDSR made and no SR names'
      : "a xapi secret that no SR, PBD or pool record names; it may be something else's than RBDSR's",
    todo: `xe secret-destroy uuid=${uuid}`,
  };
}
