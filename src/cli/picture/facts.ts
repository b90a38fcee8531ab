import { formatBytes } from '../../base/units.ts';
import { featureNames } from '../../ceph/image/features.ts';
import type { ImageSpec } from '../../ceph/image/image-spec.ts';
import type { Picture } from '../../picture/picture.ts';
import { shown } from './shown.ts';

/** ` "name"`, or nothing where nobody has one. */
export function nameOfSr(picture: Picture): string {
  const name = picture.xapi?.nameLabel ?? picture.disks?.metadata?.sr?.nameLabel;
  return name === undefined || name === '' ? '' : ` "${shown(name)}"`;
}

export function placeText({ place, host }: Picture): string {
  if (place.kind === 'device') return shown(place.device);
  const [mapping] = host?.mappings ?? [];
  const as = mapping?.user === undefined ? '' : `, as client.${shown(mapping.user)}`;
  return `${place.device}, image ${place.image} of cluster ${place.fsid ?? 'unknown'}${as}`;
}

export function roomText({ disks, xapi }: Picture): string {
  if (disks === undefined) return 'not known';
  const { sizeBytes, freeBytes } = disks.vg;
  const allocation = disks.metadata?.sr?.allocation ?? xapi?.allocation;
  const share = sizeBytes === 0 ? 0 : Math.round((freeBytes / sizeBytes) * 100);
  const free = `${formatBytes(freeBytes)} of ${formatBytes(sizeBytes)} are free (${share} %)`;
  return allocation === undefined ? free : `${free}, ${shown(allocation)}`;
}

/** What the image is made of, with names as they are; undefined where the cluster was not asked. */
export function imageText({ cluster }: Picture): string | undefined {
  const image = cluster?.image;
  if (image === undefined) return undefined;
  const { format, features, objectBytes, dataPool, parent } = image;
  return [
    format === 1 ? 'format 1' : featureNames(features).join(', '),
    `objects of ${formatBytes(objectBytes)}`,
    dataPool === undefined ? '' : `data in pool ${dataPool}`,
    parent === undefined ? '' : `a clone of ${nameOfParent(parent)}`,
  ]
    .filter((text) => text !== '')
    .join(', ');
}

function nameOfParent({ pool, namespace, image, snapshot }: ImageSpec): string {
  return `${pool}/${namespace === undefined ? '' : `${namespace}/`}${image}@${snapshot ?? ''}`;
}

/** How full the pool of the image's data is. As above. */
export function poolText({ cluster }: Picture): string | undefined {
  const pool = cluster?.pool;
  if (pool === undefined) return undefined;
  const { name, usedBytes, freeBytes, flags } = pool;
  const space =
    usedBytes === undefined || freeBytes === undefined
      ? 'its space is not known: the cluster has no manager'
      : `${formatBytes(usedBytes)} in it, room for ${formatBytes(freeBytes)} more`;
  return `${name}, ${[space, ...flags.map((flag) => flag.toUpperCase())].join(', ')}`;
}

/** What could not be asked, and so is not shown; empty where all was. */
export function missingText(picture: Picture): string {
  return missingLines(picture)
    .map((line) => `\n${shown(line)}\n`)
    .join('');
}

/** The same, a sentence each, as it was found. */
export function missingLines({ missing, disks }: Picture): readonly string[] {
  const lines = missing.filter(({ wanted }) => wanted).map(({ part, why }) => `${NOT_KNOWN[part]} ${why}`);
  return disks?.unsettled === true ? [...lines, 'A command was at work on the SR meanwhile: look again.'] : lines;
}

const NOT_KNOWN = {
  disks: 'Not known, what is on the image:',
  host: 'Not known, what this host has in use:',
  xapi: "Not known, xapi's names, and what other hosts have in use:",
  pool: 'Not known, what the image is made of, and how full its pool is:',
  cluster: 'Not known, who has the image open, and what Ceph holds of it:',
} as const;
