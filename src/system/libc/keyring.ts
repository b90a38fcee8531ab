import { RbdsrError } from '../../base/error.ts';
import type { Secret } from '../../base/secret.ts';
import { addKey, keyctl } from './libc.ts';

export interface KernelKey {
  /** Takes the key back; the kernel objects made with it keep their copy. */
  revoke(): Promise<void>;
}

/**
 * Puts a key where every thread of this process looks for it: into the session keyring, or the user's where there is no
 * session. (The process keyring would not do: it belongs to the thread that makes it and those started later, and the
 * write to `/sys/bus/rbd/add` happens on another one.) A key that nobody revokes expires after ten minutes.
 * keyrings(7). 'kernel-unsupported' where this kernel has no such key type: libceph is not loaded, or has no keyring
 * support.
 */
export async function addKernelKey(type: 'ceph' | 'user', name: string, payload: Secret): Promise<KernelKey> {
  const bytes = Buffer.from(payload.reveal(), type === 'ceph' ? 'base64' : 'utf8');
  try {
    const keyring = keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
    const serial = addKey(type, name, bytes, keyring);
    keyctl(KEYCTL_SET_TIMEOUT, serial, EXPIRES_AFTER_SECONDS);
    return { revoke: async () => revoke(serial, keyring) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new RbdsrError(code === 'ENODEV' || code === 'ENOSYS' ? 'kernel-unsupported' : 'internal', {
      what: `the kernel's keyring refuses a key of type ${type} (${code})`,
      facts: { type, name, errno: String(code) },
      cause: error,
    });
  } finally {
    bytes.fill(0);
  }
}

function revoke(serial: number, keyring: number): void {
  try {
    keyctl(KEYCTL_REVOKE, serial);
    keyctl(KEYCTL_UNLINK, serial, keyring);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOKEY' && code !== 'EKEYREVOKED' && code !== 'EKEYEXPIRED' && code !== 'ENOENT') throw error;
  }
}

const EXPIRES_AFTER_SECONDS = 600;

/** linux/keyctl.h */
const KEY_SPEC_SESSION_KEYRING = -3;
const KEYCTL_GET_KEYRING_ID = 0;
const KEYCTL_REVOKE = 3;
const KEYCTL_UNLINK = 9;
const KEYCTL_SET_TIMEOUT = 15;
