import { RbdsrError } from '../../base/error.ts';
import type { Secret } from '../../base/secret.ts';
import { checkKey } from './cephx-key.ts';
import { keyOfUser } from './keyring-file.ts';
import { parseMonitors } from './monitors.ts';
import type { MonitorAddress } from './monitors.ts';

/** What it takes to talk to a cluster. */
export interface ClusterAccess {
  readonly monitors: readonly MonitorAddress[];
  /** The cephx user without `client.`. */
  readonly user: string;
  /** Base64, as Ceph prints it. */
  readonly key: Secret;
}

export interface AccessSettings {
  readonly monitors: string;
  /** With or without `client.`; `admin` when absent. */
  readonly user?: string;
  /** The key itself; exactly one of `key` and `keyring` is given. */
  readonly key?: Secret;
  /** Path of a Ceph keyring file on this host. */
  readonly keyring?: string;
}

/**
 * Checks the settings and reads the keyring file where one is named. 'config-invalid' | 'config-missing' |
 * 'invalid-secret'.
 */
export function clusterAccess(settings: AccessSettings): ClusterAccess {
  const monitors = parseMonitors(settings.monitors);
  const user = parseUser(settings.user ?? 'admin');
  if (settings.key !== undefined && settings.keyring !== undefined) {
    throw new RbdsrError('config-invalid', {
      what: 'both a key and a keyring file are given',
      expected: 'one of them',
    });
  }
  if (settings.keyring !== undefined) return { monitors, user, key: keyOfUser(settings.keyring, user) };
  if (settings.key !== undefined) return { monitors, user, key: checkKey(settings.key, `the key of client.${user}`) };
  throw new RbdsrError('config-missing', {
    what: `there is no key for client.${user}`,
    expected: 'the cephx key, or the path of a keyring file',
    todo: `\`ceph auth get-key client.${user}\` prints the key.`,
  });
}

/** Drops `client.`. Refuses other daemon types and what would end an option of the kernel: a comma, white space. */
export function parseUser(text: string): string {
  const user = text.startsWith('client.') ? text.slice('client.'.length) : text;
  if (user !== '' && user.length <= 255 && !/[\s,\0\p{Cc}]/u.test(user)) return user;
  throw new RbdsrError('config-invalid', {
    what: 'the cephx user is not one the kernel can be told',
    expected: 'a name without comma and white space, for instance xen for client.xen',
    found: JSON.stringify(text.slice(0, 120)),
  });
}
