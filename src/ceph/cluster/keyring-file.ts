import { readFileSync } from 'node:fs';
import { RbdsrError } from '../../base/error.ts';
import { Secret } from '../../base/secret.ts';
import { checkKey } from './cephx-key.ts';

/**
 * The key of `client.<user>` in a Ceph keyring file. 'config-invalid' when the file or the user is not there,
 * 'invalid-secret' for a bad key.
 */
export function keyOfUser(path: string, user: string): Secret {
  const key = parseKeyring(readKeyring(path)).get(`client.${user}`);
  if (key !== undefined) return checkKey(key, `the key of client.${user} in ${path}`);
  throw new RbdsrError('config-invalid', {
    what: `the keyring ${path} has no key for client.${user}`,
    expected: `a section [client.${user}] with a line "key = ..."`,
    todo: `\`ceph auth get client.${user} -o ${path}\` on a host with ceph tools writes one.`,
  });
}

/**
 * Entity to key: sections `[client.x]`, lines `key = ...`; other lines (caps) do not matter (ceph
 * `src/auth/KeyRing.cc`).
 */
export function parseKeyring(text: string): ReadonlyMap<string, Secret> {
  const keys = new Map<string, Secret>();
  let entity: string | undefined;
  for (const raw of text.split('\n')) {
    const line = raw.replace(/^\s*[#;].*/, '').trim();
    const [, section] = /^\[(.*)\]$/.exec(line) ?? [];
    if (section !== undefined) entity = section.trim();
    const [, value] = /^key\s*=\s*(.*)$/.exec(line) ?? [];
    if (value !== undefined && entity !== undefined) keys.set(entity, new Secret(value.replaceAll('"', '').trim()));
  }
  return keys;
}

function readKeyring(path: string): string {
  if (!path.startsWith('/')) {
    throw new RbdsrError('config-invalid', {
      what: 'the path of the keyring file is not absolute',
      expected: '/etc/ceph/ceph.client.xen.keyring, for instance',
      found: JSON.stringify(path.slice(0, 200)),
    });
  }
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new RbdsrError('config-invalid', {
      what: `the keyring file ${path} cannot be read on this host`,
      found: (error as NodeJS.ErrnoException).code ?? 'an error',
      todo: 'It has to be present on every host of the pool.',
      cause: error,
    });
  }
}
