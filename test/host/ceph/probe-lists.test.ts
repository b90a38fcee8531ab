import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cluster } from '../../../lab/cluster/cluster.ts';
import { MiB } from '../../../src/base/units.ts';
import { decodeResponse } from '../../../src/xmlrpc/decode.ts';
import { usePlugin } from '../../unit/sm/plugin-process.ts';
import { requestText } from '../../unit/sm/request-text.ts';
import { ClusterHere } from './cluster-here.ts';

// What `xe sr-probe type=rbd` shows of a real cluster before an image is named.

const plugin = usePlugin();
let here: ClusterHere;
let cluster: Cluster;

beforeAll(async () => {
  here = await ClusterHere.start({ name: 'probe' });
  ({ cluster } = here);
  await cluster.tool('rbd', 'namespace', 'create', 'rbd/team-b');
  await cluster.createImage('rbd/a<b>', { sizeMiB: 8 });
  await cluster.createImage('rbd/team-b/theirs', { sizeMiB: 9 });
  await cluster.createOldImage('rbd/old', { sizeMiB: 10 });
  here.enter();
});

afterAll(async () => {
  await here.end();
});

async function probed(user: string, more: Readonly<Record<string, string>>): Promise<unknown> {
  const root = plugin.host('8.3b');
  const keyring = join(root, 'ceph.keyring');
  const key = await cluster.userKey(user.replace('client.', ''));
  writeFileSync(keyring, `[${user}]\n\tkey = ${key}\n`, { mode: 0o600 });
  const config = { monitors: cluster.monitors.join(','), user, keyring, pool: 'rbd', SRmaster: 'true', ...more };
  const { stdout } = await plugin.run(root, [
    requestText('sr_probe', { device_config: config }, ['sr_ref', 'sr_uuid']),
  ]);
  return decodeResponse(stdout);
}

test('images, those of format 1 by name, and namespaces', async () => {
  const { value } = (await probed('client.admin', {})) as { readonly value: string };
  const images = [...value.matchAll(/<Name>(.*)<\/Name>\s*<Size>(\d+)<\/Size>\s*(<Format>1<\/Format>)?/g)];
  expect(images.map(([, name, size, format]) => [name, Number(size), format !== undefined])).toEqual(
    expect.arrayContaining([
      ['<![CDATA[a<b>]]>', 8 * MiB, false],
      ['old', 10 * MiB, true],
    ]),
  );
  expect(value).toMatch(/<Namespace>\s*<Name>team-b<\/Name>\s*<\/Namespace>/);
});

test('a user of one namespace is told to name it, and then sees what is in it', async () => {
  const capabilities = ['mon', 'profile rbd', 'osd', 'profile rbd pool=rbd namespace=team-b'];
  await cluster.tool('ceph', 'auth', 'get-or-create', 'client.team', ...capabilities);
  const refused = await probed('client.team', {});
  expect(refused).toMatchObject({ fault: { faultString: expect.stringContaining('has to name it') as unknown } });
  const { value } = (await probed('client.team', { namespace: 'team-b' })) as { readonly value: string };
  expect(value).toContain('<Name>theirs</Name>');
  expect(value).not.toContain('Namespace');
});
