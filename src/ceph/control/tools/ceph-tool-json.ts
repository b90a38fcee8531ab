import { RbdsrError } from '../../../base/error.ts';
import type { AllocatedPart, ImageEntry, ImageFormat, ImageInfo, PoolEntry, Watcher } from '../control-plane.ts';
import { featureBits } from '../../image/features.ts';
import { type ImageSpec, printable } from '../../image/image-spec.ts';
import { parseRepeatedKeys } from './repeated-keys.ts';

/**
 * What `rbd` and `ceph` print with `--format json`, Jewel to Reef. Members that are missing or of another type are
 * 'control-plane-failed'.
 */

type Json = Readonly<Record<string, unknown>>;

/** `ceph osd pool ls detail`: pools marked for rbd; before Luminous (12) there are no marks, and every pool counts. */
export function decodePools(text: string): readonly PoolEntry[] {
  return list(parse(text, 'ceph osd pool ls'), 'ceph osd pool ls')
    .filter(
      ({ application_metadata: marks }) => marks === undefined || (isObject(marks) && Object.hasOwn(marks, 'rbd')),
    )
    .map((pool) => string(pool, 'pool_name', 'ceph osd pool ls'))
    .map((name) => ({ name, displayName: printable(name) }));
}

/** `rbd ls --long`: snapshots are entries of their own and are left out. */
export function decodeImages(
  text: string,
  place: { readonly pool: string; readonly namespace?: string },
): readonly ImageEntry[] {
  return list(parse(text, 'rbd ls'), 'rbd ls')
    .filter((entry) => entry['snapshot'] === undefined)
    .map((entry) => {
      const image = string(entry, 'image', 'rbd ls');
      const sizeBytes = number(entry, 'size', 'rbd ls');
      return { spec: { ...place, image }, displayName: printable(image), sizeBytes, format: formatOf(entry) };
    });
}

export function decodeInfo(text: string): ImageInfo {
  const info = object(parse(text, 'rbd info'), 'rbd info');
  const { features, data_pool: dataPool } = info;
  return {
    sizeBytes: number(info, 'size', 'rbd info'),
    format: formatOf(info),
    // Images of format 1 have none.
    features: Array.isArray(features) ? featureBits(features.map(String)) : 0,
    objectBytes: 2 ** number(info, 'order', 'rbd info'),
    ...(typeof dataPool === 'string' ? { dataPool } : {}),
    ...(info['parent'] === undefined ? {} : { parent: parentOf(object(info['parent'], 'rbd info')) }),
  };
}

/** Before Nautilus (14) a parent has no namespace (ceph `src/tools/rbd/action/Info.cc`). */
function parentOf(parent: Json): ImageSpec {
  const { pool_namespace: namespace } = parent;
  return {
    pool: string(parent, 'pool', 'rbd info'),
    ...(typeof namespace === 'string' && namespace !== '' ? { namespace } : {}),
    image: string(parent, 'image', 'rbd info'),
    snapshot: string(parent, 'snapshot', 'rbd info'),
  };
}

function formatOf({ format }: Json): ImageFormat {
  return format === 1 ? 1 : 2;
}

/** `rbd namespace ls`. */
export function decodeNamespaces(text: string): readonly string[] {
  return list(parse(text, 'rbd namespace ls'), 'rbd namespace ls').map((entry) =>
    string(entry, 'name', 'rbd namespace ls'),
  );
}

/**
 * `{"watchers":[...]}`; before Nautilus (14) `{"watchers":{"watcher":{...},"watcher":{...}}}`, an entry for each client
 * that has the image open (ceph `src/tools/rbd/action/Status.cc`, do_show_status; Infernalis and before: `src/rbd.cc`).
 */
export function decodeWatchers(text: string): readonly Watcher[] {
  const watchers = object(parse(text, 'rbd status'), 'rbd status')['watchers'] ?? [];
  const entries = isObject(watchers) || Array.isArray(watchers) ? Object.values(watchers) : [];
  return list(entries, 'rbd status').map((entry) => ({
    address: string(entry, 'address', 'rbd status'),
    client: number(entry, 'client', 'rbd status'),
  }));
}

/** `[{"offset":0,"length":4194304,"exists":"true"}]`; what was there once and is a hole now does not exist. */
export function decodeAllocated(text: string): readonly AllocatedPart[] {
  return list(parse(text, 'rbd diff'), 'rbd diff')
    .filter(({ exists }) => exists === 'true' || exists === true)
    .map((part) => ({ offset: number(part, 'offset', 'rbd diff'), length: number(part, 'length', 'rbd diff') }))
    .toSorted((a, b) => a.offset - b.offset);
}

export function decodeFsid(text: string): string {
  return string(object(parse(text, 'ceph fsid'), 'ceph fsid'), 'fsid', 'ceph fsid');
}

export function parse(text: string, command: string): unknown {
  try {
    return parseRepeatedKeys(text);
  } catch {
    throw unreadable(command, 'JSON', JSON.stringify(text.slice(0, 80)));
  }
}

export function list(value: unknown, command: string): readonly Json[] {
  if (Array.isArray(value) && value.every(isObject)) return value;
  throw unreadable(command, 'a list of objects', typeof value);
}

export function object(value: unknown, command: string): Json {
  if (isObject(value)) return value;
  throw unreadable(command, 'an object', typeof value);
}

export function string(value: Json, member: string, command: string): string {
  const found = value[member];
  if (typeof found === 'string') return found;
  throw unreadable(command, `a text in the member ${member}`, typeof found);
}

export function number(value: Json, member: string, command: string): number {
  const found = value[member];
  if (typeof found === 'number' && Number.isSafeInteger(found)) return found;
  throw unreadable(command, `a whole number in the member ${member}`, typeof found);
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unreadable(command: string, expected: string, found: string): RbdsrError {
  return new RbdsrError('control-plane-failed', {
    what: `the answer of \`${command}\` is not understood`,
    expected,
    found,
  });
}
