import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { placeBuiltProduct } from '../../support/built-product.ts';
import { FAST_FOLDER, fixture, type HostFixture } from './host-fixture.ts';

const COPY_INSTEAD = join(import.meta.dirname, 'copy-instead-of-kill.cjs');

export interface KilledCommand {
  /**
   * Kills `verb`, on a copy of the host, where it passes `point` for the `from`-th time, and sees what a kill would
   * leave `every` times later, and so on, until it gets through, with this exit code. What `recover` does must hold
   * after each; `ended` where the command came to its end. How often it was passed.
   */
  atEveryStep(
    template: HostFixture,
    verb: string,
    point: string,
    from: number,
    recover: (host: HostFixture, pass: number, ended: boolean) => Promise<void>,
    every?: number,
    exitCode?: number,
  ): Promise<number>;
  /** A host of its own, like this one. */
  copyOf(host: HostFixture): HostFixture;
  /** The command's file. */
  program(): string;
}

/** The built command, for the tests of one file. */
export function useKilledCommand(): KilledCommand {
  let product = '';
  let copies = '';
  let count = 0;
  beforeAll(() => {
    copies = mkdtempSync(join(FAST_FOLDER, 'rbdsr-killed-'));
    product = join(copies, 'product');
    placeBuiltProduct(product);
  });
  afterAll(() => rmSync(copies, { recursive: true, force: true }));

  const folder = (): string => {
    count += 1;
    return join(copies, String(count));
  };

  const copyOf = (template: HostFixture): HostFixture => {
    const root = folder();
    cpSync(template.root, root, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    return fixture(root);
  };

  /** True when the command was killed; false when it ended well. */
  const isKilled = (
    { root }: HostFixture,
    verb: string,
    more: Record<string, string>,
    exitCode: number,
    ...options: readonly string[]
  ): boolean => {
    const env = { PATH: '/usr/bin:/bin', RBDSR_ROOT: root, ...more };
    const argv = [...options, join(product, 'cli.cjs'), verb];
    const { signal, status, stderr } = spawnSync(process.execPath, argv, { env });
    if (signal === 'SIGKILL') return true;
    const said = exitCode === 0 ? '' : expect.stringMatching(/./);
    expect({ status, stderr: stderr.toString() }).toEqual({ status: exitCode, stderr: said });
    return false;
  };

  /**
   * The host as every kill after the first would leave it, which costs one run; the last one is as the command leaves
   * it at its end.
   */
  const laterSteps = (
    template: HostFixture,
    verb: string,
    point: string,
    from: number,
    every: number,
    exit: number,
  ) => {
    const host = copyOf(template);
    const steps = folder();
    mkdirSync(steps);
    const more = { COPIES: steps, POINT: point, FROM: String(from), EVERY: String(every) };
    expect(isKilled(host, verb, more, exit, '--require', COPY_INSTEAD)).toBe(false);
    const copied = readdirSync(steps).map(Number);
    expect(copied.toSorted((a, b) => a - b)).toEqual(copied.map((_, index) => from + index * every));
    renameSync(host.root, join(steps, String(from + copied.length * every)));
    return { folder: steps, passes: copied.length };
  };

  return {
    async atEveryStep(template, verb, point, from, recover, every = 1, exitCode = 0) {
      const first = copyOf(template);
      const killed = isKilled(first, verb, { RBDSR_FAULT: `${point}:${from}` }, exitCode);
      await recover(first, from, !killed);
      rmSync(first.root, { recursive: true });
      if (!killed) return from - 1;
      const later = laterSteps(template, verb, point, from + every, every, exitCode);
      for (let step = 1; step <= later.passes + 1; step += 1) {
        const pass = from + step * every;
        await recover(fixture(join(later.folder, String(pass))), pass, step > later.passes);
      }
      rmSync(later.folder, { recursive: true });
      return from + (later.passes + 1) * every - 1;
    },
    copyOf,
    program: () => join(product, 'cli.cjs'),
  };
}
