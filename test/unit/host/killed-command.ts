import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { FAST_FOLDER, fixture, type HostFixture } from './host-fixture.ts';

const PROJECT = join(import.meta.dirname, '../../..');

export interface KilledCommand {
  /**
   * Kills `verb`, on a copy of the host, where it passes `point` for the `from`-th time, then `every` times later, until it gets through. What `recover`
   * does must hold after each. How often it was passed.
   */
  atEveryStep(
    template: HostFixture,
    verb: string,
    point: string,
    from: number,
    recover: (host: HostFixture, pass: number) => Promise<void>,
    every?: number,
  ): Promise<number>;
}

/** The built command, for the tests of one file. */
export function useKilledCommand(): KilledCommand {
  let product = '';
  let copies = '';
  let count = 0;
  beforeAll(() => {
    copies = mkdtempSync(join(FAST_FOLDER, 'rbdsr-killed-'));
    product = join(copies, 'product');
    execFileSync(process.execPath, [join(PROJECT, 'scripts/build.mjs'), product], { stdio: 'pipe' });
  }, 120_000);
  afterAll(() => rmSync(copies, { recursive: true, force: true }));

  const copyOf = (template: HostFixture): HostFixture => {
    count += 1;
    const root = join(copies, String(count));
    cpSync(template.root, root, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    return fixture(root);
  };

  /** True when the command was killed; false when it ended well before it came to the step. */
  const killedAt = (root: string, verb: string, fault: string): boolean => {
    const env = { PATH: '/usr/bin:/bin', RBDSR_ROOT: root, RBDSR_FAULT: fault };
    const { signal, status, stderr } = spawnSync(process.execPath, [join(product, 'cli.cjs'), verb], { env });
    if (signal === 'SIGKILL') return true;
    expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' });
    return false;
  };

  return {
    async atEveryStep(template, verb, point, from, recover, every = 1) {
      for (let pass = from; ; pass += every) {
        const host = copyOf(template);
        const killed = killedAt(host.root, verb, `${point}:${pass}`);
        await recover(host, pass);
        rmSync(host.root, { recursive: true });
        if (!killed) return pass - 1;
      }
    },
  };
}
