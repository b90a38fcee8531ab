import type { Deadline } from '../../base/deadline.ts';
import { messageOf } from '../../base/error.ts';
import type { SrUuid, VdiUuid } from '../../base/ids.ts';
import { parseKeyring } from '../../ceph/cluster/keyring-file.ts';
import { formatSpec, type ImageSpec, sameSpec } from '../../ceph/image/image-spec.ts';
import type { Mapping } from '../../ceph/krbd/mapping.ts';
import type { HostPaths } from '../../dom0/host-profile.ts';
import { vgName } from '../../lvhd/names.ts';
import { RefCounts } from '../../lvhd/refcount.ts';
import { dmName } from '../../lvm/dm-name.ts';
import { keyringFolder } from '../../sr/config/static-config.ts';
import { krbdAt } from '../../sr/image/krbd-of-host.ts';
import { readIfExists } from '../../system/files.ts';
import { describeOpeners, openersOf } from '../../system/openers.ts';
import type { CountOfVdi, HostPart, MappedImage } from '../picture.ts';

/** Reads files and /sys of this host, and nothing that may wait. `volumes`: those that are active here. */
export function hostPartOf(
  paths: HostPaths,
  sr: SrUuid,
  spec: ImageSpec,
  volumes: readonly string[],
  deadline: Deadline,
): HostPart {
  const counts = RefCounts.ofHost(paths, sr, deadline);
  const keyring = readIfExists(`${keyringFolder(paths.root)}/${sr}.keyring`);
  const openers = volumes.flatMap((lv) => {
    const who = describeOpeners(openersOf(`${paths.root}/dev/mapper/${dmName(vgName(sr), lv)}`));
    return who === undefined ? [] : [[lv, who] as const];
  });
  return {
    mappings: krbdAt(paths.root)
      .list()
      .filter((mapping) => sameSpec(mapping.spec, spec))
      .map(mappedImage),
    counts: counts.counted().map((uuid) => countOf(counts, uuid)),
    openers: Object.fromEntries(openers),
    ...(keyring === undefined ? {} : { keyFileUsers: [...parseKeyring(keyring).keys()] }),
  };
}

function countOf(counts: RefCounts, uuid: string): CountOfVdi {
  try {
    return { uuid, ...counts.read(uuid as VdiUuid) };
  } catch (error) {
    return { uuid, normal: 0, binary: 0, problem: messageOf(error) };
  }
}

function mappedImage(mapping: Mapping): MappedImage {
  const { device, spec, sizeBytes, fsid, clientId, clientAddress, monitors, configInfo } = mapping;
  const user = /(?:^|[\s,])name=([^,\s]+)/.exec(configInfo ?? '')?.[1];
  const inUseBy = describeOpeners(openersOf(mapping));
  return {
    device,
    image: formatSpec(spec),
    sizeBytes,
    ...(fsid === undefined ? {} : { fsid }),
    ...(clientId === undefined ? {} : { clientId }),
    ...(clientAddress === undefined ? {} : { clientAddress }),
    monitors,
    ...(user === undefined ? {} : { user }),
    ...(inUseBy === undefined ? {} : { inUseBy }),
  };
}
