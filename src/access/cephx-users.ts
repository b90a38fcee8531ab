import type { ImageSpec } from '../ceph/image/image-spec.ts';
import { parseKeyring } from '../ceph/cluster/keyring-file.ts';
import type { Mapping } from '../ceph/krbd/mapping.ts';
import { namesIn, readIfExists } from '../system/files.ts';
import { krbdAt } from '../sr/image/krbd-of-host.ts';
import { keyringFolder } from '../sr/config/static-config.ts';

/** By which cephx users a host is at work; holds no key. */
export interface CephxUsers {
  readonly mappings: readonly MappedBy[];
  /** Users of the key files that HA's documents name. */
  readonly keyFiles: readonly string[];
}

export interface MappedBy {
  readonly device: string;
  readonly spec: ImageSpec;
  readonly fsid?: string;
  /** N of `client.N` in the cluster. */
  readonly client?: number;
  /** Absent where the kernel does not tell with what a mapping was made. */
  readonly user?: string;
  /** As the kernel sees it; absent from the answer of an older RBDSR. */
  readonly sizeBytes?: number;
}

/** Function `cephx_users` of the plug-in. Reads sysfs and a folder of ours. */
export function cephxUsersOf(root: string): CephxUsers {
  const folder = keyringFolder(root);
  return {
    mappings: krbdAt(root).list().map(mappedBy),
    keyFiles: namesIn(folder).flatMap((name) =>
      [...parseKeyring(readIfExists(`${folder}/${name}`) ?? '').keys()].map((entity) =>
        entity.replace(/^client\./, ''),
      ),
    ),
  };
}

function mappedBy({ device, spec, fsid, clientId, configInfo, sizeBytes }: Mapping): MappedBy {
  const client = /^client([0-9]+)$/.exec(clientId ?? '')?.[1];
  const user = userOf(configInfo);
  return {
    device,
    spec,
    sizeBytes,
    ...(fsid === undefined ? {} : { fsid }),
    ...(client === undefined ? {} : { client: Number(client) }),
    ...(user === undefined ? {} : { user }),
  };
}

/** The second word of `MONITORS OPTIONS POOL IMAGE SNAPSHOT` (kernel `Documentation/ABI/testing/sysfs-bus-rbd`). */
function userOf(configInfo: string | undefined): string | undefined {
  const options = configInfo?.split(' ')[1]?.split(',') ?? [];
  return options.find((option) => option.startsWith('name='))?.slice('name='.length);
}
