import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkHost } from '../../../src/host/check-host.ts';
import { disable } from '../../../src/host/disable.ts';
import { enable, repair } from '../../../src/host/enable.ts';
import { isWell } from '../../../src/host/finding.ts';
import type { HostVersion } from '../../../lab/host-trees/host-trees.ts';
import { FAST_FOLDER, fixture, type HostFixture, useHosts } from './host-fixture.ts';

// The built command is killed (SIGKILL) at every step in turn; afterwards it is enabled again, or disabled, in this process.

const PROJECT = join(import.meta.dirname, '../../..');
const hosts = useHosts();
let product = '';
let copies = '';

beforeAll(() => {
  copies = mkdtempSync(join(FAST_FOLDER, 'rbdsr-killed-'));
  product = join(copies, 'product');
  execFileSync(process.execPath, [join(PROJECT, 'scripts/build.mjs'), product], { stdio: 'pipe' });
});
afterAll(() => rmSync(copies, { recursive: true, force: true }));

/** True when the command was killed; false when it ended well before it came to the step. */
function killedAt(root: string, verb: string, fault: string): boolean {
  const env = { PATH: '/usr/bin:/bin', RBDSR_ROOT: root, RBDSR_FAULT: fault };
  const { signal, status, stderr } = spawnSync(process.execPath, [join(product, 'cli.cjs'), verb], { env });
  if (signal === 'SIGKILL') return true;
  expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' });
  return false;
}

let count = 0;
function copyOf(template: HostFixture): HostFixture {
  count += 1;
  const root = join(copies, String(count));
  cpSync(template.root, root, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  return fixture(root);
}

/** Kills `verb` at the first pass, the second, ... until it gets through; what `recover` does must hold after each. */
async function atEveryStep(
  template: HostFixture,
  verb: string,
  point: string,
  recover: (host: HostFixture, pass: number) => Promise<void>,
  every = 1,
): Promise<number> {
  for (let pass = 1; ; pass += every) {
    const host = copyOf(template);
    const killed = killedAt(host.root, verb, `${point}:${pass}`);
    await recover(host, pass);
    rmSync(host.root, { recursive: true });
    if (!killed) return pass - 1;
  }
}

async function mustBeWell(host: HostFixture): Promise<void> {
  expect((await checkHost(host.open())).filter((finding) => !isWell(finding))).toEqual([]);
}

const EVERY: readonly { version: HostVersion; separateEntry: boolean; every: number }[] = [
  { version: '6.5', separateEntry: false, every: 1 },
  { version: '8.3b', separateEntry: true, every: 1 },
  { version: '7.x', separateEntry: false, every: 6 },
  { version: '8.2', separateEntry: false, every: 6 },
  { version: '8.3a', separateEntry: false, every: 6 },
  { version: '4.x', separateEntry: false, every: 6 },
];

test.each(EVERY)('$version: enable is killed', { timeout: 600_000 }, async ({ version, separateEntry, every }) => {
  const template = hosts.make(version, { separateEntry });
  const before = template.snapshot();
  for (const point of ['host.begun', 'host.recorded', 'host.written']) {
    const steps = await atEveryStep(
      template,
      'enable',
      point,
      async (host, pass) => {
        // Half of them are enabled again first.
        if (pass % 2 === 0 || every > 1) {
          await enable(host.open());
          await mustBeWell(host);
        }
        expect(await disable(host.open(), false)).toMatchObject({ left: [] });
        expect(host.snapshot()).toEqual(before);
      },
      every,
    );
    expect(steps).toBeGreaterThan(point === 'host.begun' ? 0 : 8);
  }
});

test.each(EVERY)(
  '$version: enable of an enabled host is killed',
  { timeout: 600_000 },
  async ({ version, separateEntry, every }) => {
    const template = hosts.make(version, { separateEntry });
    const before = template.snapshot();
    await enable(template.open());
    const enabled = [...template.snapshot()].filter(([path]) => !path.startsWith('/opt/rbdsr/state'));
    for (const path of ['/usr/bin/rbdsr', '/opt/xensource/sm/RBDSR', '/opt/xensource/sm/LVMoISCSISR']) {
      template.remove(path);
    }
    for (const point of ['host.begun', 'host.recorded', 'host.written']) {
      await atEveryStep(
        template,
        'enable',
        point,
        async (host, pass) => {
          // What the boot unit does.
          expect(await repair(host.open())).toMatchObject({ failed: [] });
          const after = host.snapshot();
          for (const [path, state] of enabled) expect(`${path} ${after.get(path)}`).toBe(`${path} ${state}`);
          expect(host.open().journal.content?.state).toBe('enabled');
          if (pass % 2 === 0) await mustBeWell(host);
          expect(await disable(host.open(), false)).toMatchObject({ left: [] });
          expect(host.snapshot()).toEqual(before);
        },
        Math.ceil(every / 2),
      );
    }
  },
);

test.each(EVERY)('$version: disable is killed', { timeout: 600_000 }, async ({ version, separateEntry, every }) => {
  const template = hosts.make(version, { separateEntry });
  const before = template.snapshot();
  await enable(template.open());
  const enabled = new Map([...template.snapshot()].filter(([path]) => !path.startsWith('/opt/rbdsr/state')));
  for (const point of ['host.undo', 'host.undone', 'host.reverted']) {
    await atEveryStep(
      template,
      'disable',
      point,
      async (host, pass) => {
        if (pass % 2 === 0 || every > 1) {
          await enable(host.open());
          await mustBeWell(host);
          const after = host.snapshot();
          for (const [path, state] of enabled) expect(`${path} ${after.get(path)}`).toBe(`${path} ${state}`);
        }
        await disable(host.open(), false);
        expect(host.snapshot()).toEqual(before);
      },
      every,
    );
  }
});
