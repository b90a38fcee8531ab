import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import { Secret } from '../../base/secret.ts';
import { isObject } from './tools/ceph-tool-json.ts';
import { checkKey } from '../cluster/cephx-key.ts';
import type { ControlPlane } from './control-plane.ts';
import { type ImageSpec, printable } from '../image/image-spec.ts';

/** A cephx user that RBDSR made for one SR. */
export interface ClusterUser {
  /** Without `client.`. */
  readonly user: string;
  readonly key: Secret;
}

/** What every user of ours is called; RBDSR makes and removes no other. */
export const OWN_USER_PREFIX = 'rbdsr-';

/** `client.NAME`, for a name RBDSR may make or remove; 'invalid-argument' for any other. */
export function ownEntity(name: string): string {
  if (name.startsWith(OWN_USER_PREFIX) && /^[a-z0-9-]{7,64}$/.test(name)) return `client.${name}`;
  throw new RbdsrError('invalid-argument', {
    what: 'RBDSR makes and removes only cephx users of its own',
    expected: `a name of ${OWN_USER_PREFIX} and lower-case letters, digits and hyphens`,
    found: JSON.stringify(printable(name).slice(0, 80)),
  });
}

/**
 * The pools that mapping and using this image takes: its own, and the one its data are in. Asks for the image's facts.
 */
export async function poolsOfImage(
  plane: Pick<ControlPlane, 'imageInfo'>,
  spec: ImageSpec,
  deadline: Deadline,
): Promise<readonly string[]> {
  const { dataPool = spec.pool } = await plane.imageInfo(spec, deadline);
  return [...new Set([spec.pool, dataPool])];
}

/**
 * What mapping and using images of these pools takes, and unfencing a host that was fenced: alternating kind and
 * capability, as `ceph auth` takes them. In a capability a value stands bare only if it is of letters, digits and
 * `_.-/`, and quoted only if it is ASCII (ceph `src/osd/OSDCap.cc`, OSDCapParser).
 */
export function poolCapabilities(pools: readonly string[]): readonly string[] {
  return capabilities([PROFILE, ...UNFENCE], pools);
}

/** The same without unfencing. */
export function leastCapabilities(pools: readonly string[]): readonly string[] {
  return capabilities([PROFILE], pools);
}

const PROFILE = 'profile rbd';

/** `profile rbd` lets a client be fenced and not be let in again (ceph `src/mon/MonCap.cc`). */
export const MAY_UNFENCE = 'allow command "osd blocklist" with blocklistop=rm';

/**
 * Clusters before 16 call the list a blacklist, and a cluster may be upgraded: a user has both words, of which one
 * means nothing.
 */
const UNFENCE: readonly string[] = [MAY_UNFENCE, MAY_UNFENCE.replaceAll('blocklist', 'blacklist')];

function capabilities(monitors: readonly string[], pools: readonly string[]): readonly string[] {
  return ['mon', monitors.join(', '), 'osd', pools.map((pool) => `profile rbd pool=${quoted(pool)}`).join(', ')];
}

/** `ceph auth get` and `get-or-create`. The answer holds the key, so no error quotes any of it. */
export function decodeUser(text: string, name: string): ClusterUser {
  let entry: unknown;
  try {
    const answer: unknown = JSON.parse(text);
    entry = Array.isArray(answer) ? answer[0] : answer;
  } catch {
    entry = undefined;
  }
  const key = isObject(entry) ? entry['key'] : undefined;
  if (typeof key === 'string') return { user: name, key: checkKey(new Secret(key), `the key of client.${name}`) };
  throw new RbdsrError('control-plane-failed', {
    what: 'the answer of `ceph auth` is not understood',
    expected: `an object with the key of client.${name}`,
  });
}

/** `ceph auth ls`: the users of ours among all. The answer holds every key, so no error quotes any of it. */
export function decodeOwnUsers(text: string): readonly string[] {
  let entries: unknown;
  try {
    const answer: unknown = JSON.parse(text);
    entries = isObject(answer) ? answer['auth_dump'] : undefined;
  } catch {
    entries = undefined;
  }
  if (!Array.isArray(entries)) {
    throw new RbdsrError('control-plane-failed', {
      what: 'the answer of `ceph auth ls` is not understood',
      expected: 'an object with the list auth_dump',
    });
  }
  return entries.flatMap((entry: unknown) => {
    const entity = isObject(entry) ? entry['entity'] : undefined;
    return typeof entity === 'string' && entity.startsWith(`client.${OWN_USER_PREFIX}`)
      ? [entity.slice('client.'.length)]
      : [];
  });
}

function quoted(pool: string): string {
  const name = nameInCapability(pool);
  if (name !== undefined) return name;
  throw new RbdsrError('image-unmappable', {
    what: `no cephx capability can name the pool ${JSON.stringify(printable(pool))}`,
    todo: '`ceph osd pool rename` gives it another name; or a cephx user that may use every pool is named for the SR.',
  });
}

/** Bare or quoted; undefined for a name that no capability can hold. */
export function nameInCapability(name: string): string | undefined {
  if (/^[A-Za-z0-9_.-]+$/.test(name)) return name;
  const quote = ['"', "'"].find((character) => !name.includes(character));
  return quote !== undefined && /^[\x20-\x7e]+$/.test(name) ? `${quote}${name}${quote}` : undefined;
}
