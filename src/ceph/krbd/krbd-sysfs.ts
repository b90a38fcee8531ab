import { join } from 'node:path';
import { namesIn } from '../../system/files.ts';
import { readAttribute } from '../../system/sysfs.ts';
import { parseFeatures } from '../image/features.ts';
import type { KernelTraits } from './kernel-traits.ts';
import type { Mapping } from './mapping.ts';

/** Where the kernel's RBD client is looked at: `/sys` and `/dev`, or recorded trees. */
export interface KrbdRoots {
  readonly sysRoot: string;
  readonly devRoot: string;
}

export const HOST_ROOTS: KrbdRoots = { sysRoot: '/sys', devRoot: '/dev' };

/** Nor does a folder say anything that is none, or that nobody may read, as debugfs of a locked kernel. */
const UNREADABLE = ['ENOTDIR', 'EACCES'];

/**
 * Every mapping of this host, by index. Touches no device and no network; a mapping that goes away meanwhile is left
 * out.
 */
export function listMappings(roots: KrbdRoots): readonly Mapping[] {
  const folder = join(roots.sysRoot, 'bus/rbd/devices');
  return namesIn(folder, UNREADABLE)
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b)
    .map((index) => readMapping(roots, index))
    .filter((mapping) => mapping !== undefined);
}

/** What is mapped under this index, as far as this kernel tells (Documentation/ABI/testing/sysfs-bus-rbd). */
export function readMapping(roots: KrbdRoots, index: number): Mapping | undefined {
  const folder = join(roots.sysRoot, 'bus/rbd/devices', String(index));
  const attribute = (name: string): string | undefined => readAttribute(join(folder, name));
  const pool = attribute('pool');
  const image = attribute('name');
  const major = attribute('major');
  const size = attribute('size');
  if (pool === undefined || image === undefined || major === undefined || size === undefined) return undefined;
  const namespace = attribute('pool_ns');
  const snapshot = attribute('current_snap');
  const clientId = attribute('client_id');
  const fsid = attribute('cluster_fsid');
  const clientAddress = attribute('client_addr');
  const features = attribute('features');
  const configInfo = attribute('config_info');
  const client = debugClient(roots.sysRoot, clientId, fsid);
  const cluster = fsid ?? client?.fsid;
  return {
    index,
    device: join(roots.devRoot, `rbd${index}`),
    major: Number(major),
    minor: Number(attribute('minor') ?? 0),
    spec: {
      pool,
      ...(namespace === undefined || namespace === '' ? {} : { namespace }),
      image,
      // "-" is how the kernel writes "no snapshot".
      ...(snapshot === undefined || snapshot === '-' || snapshot === '' ? {} : { snapshot }),
    },
    ...(cluster === undefined ? {} : { fsid: cluster }),
    ...(clientId === undefined ? {} : { clientId }),
    ...(clientAddress === undefined ? {} : { clientAddress }),
    sizeBytes: Number(size),
    ...(features === undefined ? {} : { features: parseFeatures(features) }),
    monitors: [...new Set([...(client?.monitors ?? []), ...monitorsOfLine(configInfo)])],
    ...(configInfo === undefined ? {} : { configInfo: configInfo.replace(/\bsecret=[^,\s]*/, 'secret=***') }),
  };
}

/** Whether it was mapped with `ro`. Linux 3.10 shows that once the device has been opened (rbd_open). */
export function isReadOnly(roots: KrbdRoots, { index }: Pick<Mapping, 'index'>): boolean {
  return readAttribute(join(roots.sysRoot, `block/rbd${index}/ro`)) === '1';
}

/**
 * The files to write to. Where `add_single_major` exists the plain ones answer EINVAL. Undefined when the module is not
 * loaded.
 */
export function controlFiles(roots: KrbdRoots): { readonly add: string; readonly remove: string } | undefined {
  const names = namesIn(join(roots.sysRoot, 'bus/rbd'), UNREADABLE);
  const file = (name: string): string => join(roots.sysRoot, 'bus/rbd', name);
  if (names.includes('add_single_major')) return { add: file('add_single_major'), remove: file('remove_single_major') };
  if (names.includes('add')) return { add: file('add'), remove: file('remove') };
  return undefined;
}

/** Feature bits of images this kernel maps: its own word where it gives one (4.11 and later), else the table's. */
export function supportedFeatures(roots: KrbdRoots, traits: KernelTraits): number {
  const own = readAttribute(join(roots.sysRoot, 'bus/rbd/supported_features'));
  return own === undefined ? traits.imageFeatures : parseFeatures(own);
}

/**
 * The client's folder in debugfs is called `<fsid>.client<id>`: the only word on the cluster before 4.9. Two clusters
 * may give one id to two clients; then it tells nothing.
 */
function debugClient(
  sysRoot: string,
  clientId: string | undefined,
  fsid: string | undefined,
): { readonly fsid: string; readonly monitors: readonly string[] } | undefined {
  if (clientId === undefined) return undefined;
  const folder = join(sysRoot, 'kernel/debug/ceph');
  const names = namesIn(folder, UNREADABLE).filter((name) =>
    fsid === undefined ? name.endsWith(`.${clientId}`) : name === `${fsid}.${clientId}`,
  );
  const [name] = names;
  if (name === undefined || names.length > 1) return undefined;
  const monmap = readAttribute(join(folder, name, 'monmap')) ?? '';
  // "epoch 1", then "\tmon0\t10.66.0.1:6789" or, since 5.11, "\tmon0\t(1)10.66.0.1:6789".
  const monitors = [...monmap.matchAll(/^\s*mon[0-9]+\s+(?:\([0-9]+\))?(\S+)$/gm)].map(([, address]) => address ?? '');
  return { fsid: name.slice(0, -clientId.length - 1), monitors };
}

/** The first word of the line is the list of monitors. */
function monitorsOfLine(configInfo: string | undefined): readonly string[] {
  const [list] = (configInfo ?? '').split(/\s+/);
  return (list ?? '').split(',').filter((entry) => /:[0-9]+$/.test(entry));
}
