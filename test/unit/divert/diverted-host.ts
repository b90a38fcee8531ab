import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { decodeResponse } from '../../../src/xmlrpc/decode.ts';
import { isStruct } from '../../../src/xmlrpc/value.ts';
import { buildHostTree, type HostTree } from '../../../lab/host-trees/host-trees.ts';
import type { HostTreeOptions } from '../../../lab/host-trees/host-versions.ts';
import type { HostVersion } from '../../../lab/host-trees/host-versions.ts';

const LAUNCHER = join(import.meta.dirname, '../../../src/main/launcher.sh');
const DIVERT = join(import.meta.dirname, '../../../src/main/divert.py');

export interface End {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface DivertedHostOptions extends HostTreeOptions {
  /** What /bin/sh is on the host. */
  readonly shell?: string;
}

/** What the stand-in for the stock driver says that it saw. */
export function seenBy(stdout: string): Record<string, unknown> {
  if (!stdout.startsWith('<')) return JSON.parse(stdout) as Record<string, unknown>;
  const answer = decodeResponse(stdout);
  if (!('value' in answer) || !isStruct(answer.value) || typeof answer.value['seen'] !== 'string')
    throw new Error(stdout);
  return JSON.parse(answer.value['seen']) as Record<string, unknown>;
}

/**
 * A tree whose LVMoISCSISR is the dispatcher, beside one where it still is the stock driver. The launcher is a
 * stand-in.
 */
export class DivertedHost implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'rbdsr-divert-'));
  readonly tree: HostTree;
  /** Before RBDSR came. */
  readonly plain: HostTree;
  readonly home: string;
  readonly stock: string;
  readonly launcher: string;
  readonly #stdin = join(this.root, 'stdin');

  constructor(version: HostVersion, options: DivertedHostOptions = {}) {
    this.tree = buildHostTree(version, join(this.root, 'host'), options);
    this.plain = buildHostTree(version, join(this.root, 'plain'), options);
    this.home = this.tree.path('/opt/rbdsr');
    this.stock = join(this.tree.smDir, 'rbdsr-stock/LVMoISCSISR');
    this.launcher = join(this.home, 'launcher.sh');
    writeFileSync(this.#stdin, 'from stdin');
    const shell = this.tree.path('/bin/sh');
    mkdirSync(this.tree.path('/bin'));
    mkdirSync(this.home, { recursive: true });
    mkdirSync(join(this.tree.smDir, 'rbdsr-stock'));
    symlinkSync(options.shell ?? '/bin/sh', shell);
    const divert = join(this.tree.smDir, 'rbdsr-divert.py');
    writeFileSync(divert, readFileSync(DIVERT, 'utf8').replace('#!/bin/sh', `#!${shell}`));
    writeFileSync(this.launcher, `#!/bin/sh\nprintf '%s\\n' "launched $RBDSR_DRIVER" "$#" "$1"\nexit 3\n`);
    for (const program of [divert, this.launcher]) chmodSync(program, 0o755);
    // What src/installer/changes/divert.ts makes: a link leads where it led; a program of its own stays in its folder.
    if (this.tree.stockFile === this.tree.entry) {
      renameSync(this.tree.entry, join(this.tree.smDir, 'rbdsr-stock-program'));
      symlinkSync('../rbdsr-stock-program', this.stock);
    } else {
      symlinkSync(join('..', readlinkSync(this.tree.entry)), this.stock);
      rmSync(this.tree.entry);
    }
    symlinkSync('rbdsr-divert.py', this.tree.entry);
  }

  /** What xapi does. */
  run(args: readonly string[], env: Readonly<Record<string, string>> = {}): End {
    return this.start(this.tree.entry, args, env);
  }

  /** The same where the entry is still the stock driver. */
  runPlain(args: readonly string[], env: Readonly<Record<string, string>> = {}): End {
    return this.start(this.plain.entry, args, env);
  }

  /** A program with an environment of `env` and what the tree needs. */
  start(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): End {
    const site = this.tree.sitePackages === undefined ? {} : { PYTHONPATH: this.tree.sitePackages };
    const stdin = openSync(this.#stdin, 'r');
    try {
      const { status, stdout, stderr, error } = spawnSync(program, args, {
        cwd: '/',
        env: { RBDSR_HOME: this.home, RBDSR_SM: this.tree.smDir, PYTHONDONTWRITEBYTECODE: '1', ...site, ...env },
        encoding: 'utf8',
        stdio: [stdin, 'pipe', 'pipe'],
        timeout: 20_000,
      });
      if (error !== undefined) throw error;
      return { code: status, stdout, stderr };
    } finally {
      closeSync(stdin);
    }
  }

  /** Takes a file of the product away. */
  remove(name: string): void {
    rmSync(join(this.home, name));
  }

  /** A file of the product that nobody may run. */
  forbid(name: string): void {
    rmSync(join(this.home, name));
    writeFileSync(join(this.home, name), '#!/bin/sh\n');
  }

  /** What RBDSR keeps of the stock driver is a link to this. */
  leadStock(target: string): void {
    rmSync(this.stock);
    symlinkSync(target, this.stock);
  }

  replaceStock(text: string, mode: number): void {
    rmSync(this.stock);
    writeFileSync(this.stock, text);
    chmodSync(this.stock, mode);
  }

  /** Every way to the stock driver, what RBDSR keeps and what the package sm has. */
  loseStock(): void {
    rmSync(dirname(this.stock), { recursive: true });
    if (this.tree.stockFile !== this.tree.entry) rmSync(this.tree.stockFile);
  }

  /** The product's launcher, which looks for the rest of the product. */
  placeRealLauncher(): void {
    cpSync(LAUNCHER, this.launcher);
    chmodSync(this.launcher, 0o755);
  }

  placeRuntime(): void {
    mkdirSync(join(this.home, 'runtime/bin'), { recursive: true });
    symlinkSync(process.execPath, join(this.home, 'runtime/bin/node'));
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
