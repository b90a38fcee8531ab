import { randomBytes } from 'node:crypto';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import { addKernelKey } from '../../system/libc/keyring.ts';
import type { ClusterAccess } from '../cluster/access.ts';
import { type KeyType, keyTypeOf, sampleKey } from '../cluster/cephx-key.ts';
import type { KernelTraits } from './kernel-traits.ts';

/** Which cephx keys the kernel of this host can use. */
export interface KernelKeys {
  readonly kernel: KernelTraits;
  types(deadline: Deadline): Promise<readonly KeyType[]>;
}

/**
 * Every kernel uses `aes`. Of `aes256k` the version tells from Linux 7.0 on; distributions have it backported to older
 * ones, so `takes` asks the kernel itself where its answer means something. Nothing is asked, and no module loaded,
 * unless somebody wants to know.
 */
export function kernelKeys(
  kernel: KernelTraits,
  takes: (type: KeyType, deadline: Deadline) => Promise<boolean> = (type) => kernelTakes(type),
): KernelKeys {
  return {
    kernel,
    types: async (deadline) => {
      const isAble = kernel.aes256k || (kernel.refusesKeyTypes && (await takes('aes256k', deadline)));
      return isAble ? ['aes', 'aes256k'] : ['aes'];
    },
  };
}

/** Whether libceph takes such a key into a keyring. False where it is not loaded: then nobody knows. */
export async function kernelTakes(type: KeyType, add: typeof addKernelKey = addKernelKey): Promise<boolean> {
  try {
    const key = await add('ceph', `rbdsr-${randomBytes(12).toString('hex')}`, sampleKey(type));
    await key.revoke();
    return true;
  } catch (error) {
    if (error instanceof RbdsrError && saysUnknown(error)) return false;
    throw error;
  }
}

/**
 * As libceph refuses a key of another type (linux `net/ceph/crypto.c`, set_secret), or where there are no keys of
 * Ceph's at all. A full keyring says nothing of types.
 */
function saysUnknown({ code, detail }: RbdsrError): boolean {
  return code === 'kernel-unsupported' || REFUSALS.has(detail.facts?.['errno']);
}

const REFUSALS: ReadonlySet<unknown> = new Set(['ENOTSUPP', 'EOPNOTSUPP', 'EINVAL']);

/** 'kernel-unsupported' for a key that this host could not map an image with. */
export async function refuseUnusableKey(
  { user, key }: Pick<ClusterAccess, 'user' | 'key'>,
  keys: KernelKeys,
  deadline: Deadline,
): Promise<void> {
  const type = keyTypeOf(key);
  if (type === 'aes' || (await keys.types(deadline)).includes(type)) return;
  throw keyUnusable(user, type, keys.kernel);
}

/** `type` is undefined where only the kernel knows. */
export function keyUnusable(user: string, type: KeyType | undefined, kernel: KernelTraits): RbdsrError {
  const ofType =
    type === undefined
      ? "a type that this host's kernel cannot use"
      : `type ${type}, which this host's kernel cannot use`;
  return new RbdsrError('kernel-unsupported', {
    what: `the key of client.${user} is of ${ofType}`,
    expected:
      'a key of type aes, 40 characters that begin with AQ; aes256k needs Linux 7.0 or a kernel with it backported',
    found: `Linux ${kernel.release}`,
    todo: `On a monitor, \`ceph auth rotate --key-type aes client.${user}\` gives this user another key, which all who use it need then; or \`ceph auth get-or-create --key-type aes client.NAME mon 'profile rbd' osd 'profile rbd pool=POOL'\` makes another user. Where the monitors refuse type aes: \`${ALLOW_AES}\`.`,
    facts: { user, keyType: type ?? 'unknown' },
  });
}

/** ceph `doc/rados/configuration/auth-config-ref.rst`, cephx-upgrade. */
export const ALLOW_AES = 'ceph mon set auth_allowed_ciphers aes,aes256k';
