import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Secret } from '../../../src/base/secret.ts';
import { clusterAccess } from '../../../src/ceph/cluster/access.ts';
import { failureOf } from '../../support/expect-error.ts';

const KEY = 'AQD4T2FmAAAAABAAB0cl3lu9dHQZwSYx1MD9XA==';
const folder = mkdtempSync(join(tmpdir(), 'rbdsr-ceph-access-'));
afterAll(() => rmSync(folder, { recursive: true }));

function keyring(text: string): string {
  const path = join(folder, 'keyring');
  writeFileSync(path, text);
  return path;
}

describe('access to a cluster', () => {
  test('takes a key, drops client. and white space', () => {
    const access = clusterAccess({ monitors: '10.0.0.1', user: 'client.xen', key: new Secret(` ${KEY}\n`) });
    expect(access.user).toBe('xen');
    expect(access.key.reveal()).toBe(KEY);
    expect(JSON.stringify(access)).not.toContain(KEY);
  });

  test('reads the key of the user, and of no other, from a keyring file', () => {
    const path = keyring(
      `# comment\n[client.xen2]\n\tkey = AQAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAA==\n[client.xen]\n\tkey = ${KEY}\n\tcaps mon = "profile rbd"\n`,
    );
    expect(clusterAccess({ monitors: '10.0.0.1', user: 'xen', keyring: path }).key.reveal()).toBe(KEY);
  });

  test('the user is admin unless given', () => {
    expect(clusterAccess({ monitors: '10.0.0.1', key: new Secret(KEY) }).user).toBe('admin');
  });

  test.each(['', 'a,b', 'a b', 'a\n', 'client.'])('refuses the user %j', async (user) => {
    await failureOf('config-invalid', () => clusterAccess({ monitors: '10.0.0.1', user, key: new Secret(KEY) }));
  });

  test.each(['', 'secret', `${KEY}x`, KEY.slice(4), KEY.replace('==', ''), `${KEY.slice(0, 20)},name=admin`])(
    'refuses the key %j without quoting it',
    async (key) => {
      const error = await failureOf('invalid-secret', () =>
        clusterAccess({ monitors: '10.0.0.1', key: new Secret(key) }),
      );
      if (key !== '') expect(error.message).not.toContain(key);
    },
  );

  test('a keyring without the user, or that is not there, is named', async () => {
    const path = keyring(`[client.other]\nkey = ${KEY}\n`);
    const absent = await failureOf('config-invalid', () =>
      clusterAccess({ monitors: 'h', user: 'xen', keyring: path }),
    );
    expect(absent.message).toContain('client.xen');
    const missing = await failureOf('config-invalid', () =>
      clusterAccess({ monitors: 'h', keyring: join(folder, 'no') }),
    );
    expect(missing.message).toContain('ENOENT');
  });

  test('neither key nor keyring, and both, are refused', async () => {
    await failureOf('config-missing', () => clusterAccess({ monitors: 'h' }));
    await failureOf('config-invalid', () => clusterAccess({ monitors: 'h', key: new Secret(KEY), keyring: '/x' }));
  });
});
