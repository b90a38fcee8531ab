import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cephxUsersOf } from '../../../src/access/cephx-users.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rbdsr-users-'));
});

afterEach(() => rmSync(root, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function map(index: number, more: Record<string, string>): void {
  const attributes = {
    pool: 'rbd',
    name: `i${index}`,
    current_snap: '-',
    major: '252',
    minor: String(index * 16),
    size: '1048576',
    features: '0x1',
    ...more,
  };
  for (const [name, value] of Object.entries(attributes)) write(`sys/bus/rbd/devices/${index}/${name}`, `${value}\n`);
}

test('a host with nothing', () => {
  expect(cephxUsersOf(root)).toEqual({ mappings: [], keyFiles: [] });
});

test('who a mapping was made by, where the kernel tells', () => {
  map(0, {
    client_id: 'client4100',
    config_info: '10.0.0.1:6789,10.0.0.2:6789 noshare,name=xen,key=client.xen rbd i0 -',
  });
  map(1, { client_id: 'client4200' });
  const { mappings } = cephxUsersOf(root);
  expect(mappings).toMatchObject([{ device: join(root, 'dev/rbd0'), client: 4100, user: 'xen' }, { client: 4200 }]);
  expect(mappings[1]).not.toHaveProperty('user');
});

test('whose key files there are, and no key', () => {
  const key = 'AQDDnS9lAAAAABAAq2v0MlRcqCaPTzFhcCYvKA==';
  write('etc/rbdsr/keys/a.keyring', `[client.rbdsr-a]\n\tkey = ${key}\n`);
  const users = cephxUsersOf(root);
  expect(users.keyFiles).toEqual(['rbdsr-a']);
  expect(JSON.stringify(users)).not.toContain(key);
});
