import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import type { ClusterAccess } from '../cluster/access.ts';
import { isObject } from './tools/ceph-tool-json.ts';
import { type KeyType, keyTypeOf } from '../cluster/cephx-key.ts';
import { ALLOW_AES, type KernelKeys } from '../krbd/kernel-keys.ts';

/** Which types of cephx keys a cluster works with, by the names it gives them. */
export interface ClusterKeyTypes {
  /** Clients and daemons may log in with these. */
  readonly allowed: readonly string[];
  /** What a new key is of where nobody says. */
  readonly preferred: string;
  /**
   * What the monitors seal tickets with. It does not bind a client, whose session keys are of its own key's type at
   * best (ceph `src/auth/cephx/CephxKeyServer.cc`).
   */
  readonly service?: string;
}

/**
 * From the answer to `ceph mon dump` (ceph `src/mon/MonMap.cc`, MonMap::dump). Undefined before 19.2.6, 20.2.4 and
 * 21.2, which have none of these members, one type of keys, and no option --key-type; also where they have a shape that
 * no release had yet: a map of monitors is not lost for it.
 */
export function decodeKeyTypes(map: Readonly<Record<string, unknown>>): ClusterKeyTypes | undefined {
  const { auth_allowed_ciphers: allowed, auth_preferred_cipher: preferred, auth_service_cipher: service } = map;
  const names = Array.isArray(allowed) ? allowed.map(nameOf) : [];
  const preferredName = nameOf(preferred);
  if (names.length === 0 || !names.every((name) => name !== undefined) || preferredName === undefined) return undefined;
  const serviceName = nameOf(service);
  return { allowed: names, preferred: preferredName, ...(serviceName === undefined ? {} : { service: serviceName }) };
}

function nameOf(cipher: unknown): string | undefined {
  const name = isObject(cipher) ? cipher['name'] : undefined;
  return typeof name === 'string' ? name : undefined;
}

/**
 * The type that a user for a host with this kernel has to be made with: `aes` wherever it is allowed, since a pool may
 * have hosts with other kernels. Undefined where the cluster knows no types. 'cluster-incompatible' where it allows
 * none that the kernel can use.
 */
export async function keyTypeFor(
  types: ClusterKeyTypes | undefined,
  keys: KernelKeys,
  deadline: Deadline,
): Promise<KeyType | undefined> {
  if (types === undefined) return undefined;
  if (types.allowed.includes('aes')) return 'aes';
  const usable = (await keys.types(deadline)).find((type) => types.allowed.includes(type));
  if (usable !== undefined) return usable;
  throw new RbdsrError('cluster-incompatible', {
    what: "the cluster allows no cephx key that this host's kernel can use",
    expected: 'aes among the types that it allows; aes256k needs Linux 7.0 or a kernel with it backported',
    found: `${types.allowed.join(', ')}; Linux ${keys.kernel.release}`,
    todo: `On a monitor: \`${ALLOW_AES}\`. ${PRICE} ${keepPreferred(types)}Nothing was made or changed.`,
    facts: { allowed: types.allowed.join(','), kernel: keys.kernel.release },
  });
}

/**
 * 'cluster-incompatible' for a key that the cluster lets nobody log in with. A key that the kernel cannot use is
 * another matter (kernel-keys.ts).
 */
export function refuseForbiddenKey(
  { user, key }: Pick<ClusterAccess, 'user' | 'key'>,
  types: ClusterKeyTypes | undefined,
): void {
  const type = keyTypeOf(key);
  if (types === undefined || types.allowed.includes(type)) return;
  throw new RbdsrError('cluster-incompatible', {
    what: `the key of client.${user} is of type ${type}, which the cluster does not allow`,
    expected: `a key of type ${types.allowed.join(' or ')}`,
    todo: `On a monitor: \`ceph mon set auth_allowed_ciphers ${[type, ...types.allowed].join(',')}\`.${type === 'aes' ? ` ${PRICE}` : ''}`,
    facts: { user, keyType: type, allowed: types.allowed.join(',') },
  });
}

/** What letting keys of type aes in again means. */
const PRICE =
  'The price: a key of type aes is open to the attack of CVE-2025-30156 until it is removed or rotated, and `ceph health` warns of it (AUTH_INSECURE_CLIENT_KEY_TYPE, AUTH_INSECURE_KEYS_ALLOWED).';

function keepPreferred({ preferred }: ClusterKeyTypes): string {
  return preferred === 'aes' ? '' : `Other new keys stay ${preferred} (auth_preferred_cipher). `;
}

/** For a log, and for an operator. */
export function describeKeyTypes(types: ClusterKeyTypes | undefined): string {
  if (types === undefined)
    return 'the cluster names no types of cephx keys: it knows one, aes, or says it in a way that RBDSR does not know';
  const { allowed, preferred, service } = types;
  const tickets = service === undefined ? '' : `; it seals tickets with ${service}, which binds no client`;
  return `the cluster allows cephx keys of type ${allowed.join(' and ')} (auth_allowed_ciphers), and makes ${preferred} where nobody says (auth_preferred_cipher)${tickets}`;
}
