import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkHost } from '../../../src/installer/check-host.ts';
import { disable } from '../../../src/installer/disable.ts';
import { enable, repair } from '../../../src/installer/enable.ts';
import { isWell } from '../../../src/installer/changing/finding.ts';
import { placeBuiltProduct } from '../../support/built-product.ts';
import { FAST_FOLDER, type HostFixture, useHosts } from './host-fixture.ts';

const PROJECT = join(import.meta.dirname, '../../..');
const { version: VERSION } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { version: string };
const hosts = useHosts();
let product = '';

beforeAll(() => {
  product = mkdtempSync(join(FAST_FOLDER, 'rbdsr-parallel-'));
  placeBuiltProduct(product);
});
afterAll(() => rmSync(product, { recursive: true, force: true }));

async function wrong(host: HostFixture, version?: string): Promise<readonly unknown[]> {
  return (await checkHost(host.open(version))).filter((finding) => !isWell(finding));
}

test('a process that waited for another goes by what that one has done', async () => {
  const host = hosts.make('8.3b');
  const before = host.snapshot();
  const [second, third, fourth] = [host.open(), host.open(), host.open()];
  await enable(host.open());
  expect(await enable(second)).toMatchObject({ written: [], resumed: false });
  expect(await disable(third, false)).toMatchObject({ wasEnabled: true, left: [] });
  expect(host.snapshot()).toEqual(before);
  await enable(host.open());
  const stale = host.open();
  await disable(host.open(), false);
  expect(await repair(stale)).toMatchObject({ written: [] });
  expect(await disable(stale, false)).toMatchObject({ wasEnabled: false });
  expect(host.snapshot()).toEqual(before);
  await enable(fourth);
  expect(await wrong(host)).toEqual([]);
  await disable(host.open(), false);
  expect(host.snapshot()).toEqual(before);
});

test('what removed the product meanwhile is noticed', async () => {
  const host = hosts.make('8.3b');
  await enable(host.open());
  const waiting = host.open();
  await disable(host.open(), false);
  host.remove('/opt/rbdsr');
  const before = host.snapshot();
  await expect(enable(waiting)).rejects.toThrow(/launcher\.sh is missing/);
  expect(host.snapshot()).toEqual(before);
});

/** Their exit codes. */
function atOnce(host: HostFixture, verbs: readonly string[]): Promise<readonly unknown[]> {
  return Promise.all(
    verbs.map(async (verb) => {
      const env = { PATH: '/usr/bin:/bin', RBDSR_ROOT: host.root };
      const [code] = (await once(
        spawn(process.execPath, [join(product, 'cli.cjs'), verb], { env, stdio: 'ignore' }),
        'close',
      )) as [unknown];
      return code;
    }),
  );
}

test('commands in parallel lose nothing: disable afterwards puts all back', { timeout: 120_000 }, async () => {
  for (let round = 0; round < 4; round += 1) {
    const host = hosts.make('8.3b', { separateEntry: round % 2 === 0 });
    const before = host.snapshot();
    expect(await atOnce(host, ['enable', 'enable', 'repair'])).toEqual([0, 0, 0]);
    expect(await wrong(host, VERSION)).toEqual([]);
    expect(await atOnce(host, ['disable', 'repair', 'enable', 'repair'])).toEqual([0, 0, 0, 0]);
    expect(await disable(host.open(), false)).toMatchObject({ left: [] });
    expect(host.snapshot()).toEqual(before);
  }
});
