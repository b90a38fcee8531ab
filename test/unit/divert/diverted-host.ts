import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  buildHostTree,
  type HostTree,
  type HostTreeOptions,
  type HostVersion,
} from '../../../lab/host-trees/host-trees.ts';

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

/** A tree whose LVMoISCSISR is the dispatcher, beside one where it still is the stock driver. The launcher is a stand-in. */
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
    this.stock = join(this.home, 'stock/LVMoISCSISR');
    this.launcher = join(this.home, 'launcher.sh');
    writeFileSync(this.#stdin, 'from stdin');
    const shell = this.tree.path('/bin/sh');
    mkdirSync(this.tree.path('/bin'));
    mkdirSync(join(this.home, 'stock'), { recursive: true });
    symlinkSync(options.shell ?? '/bin/sh', shell);
    writeFileSync(join(this.home, 'divert.py'), readFileSync(DIVERT, 'utf8').replace('#!/bin/sh', `#!${shell}`));
    writeFileSync(this.launcher, `#!/bin/sh\nprintf '%s\\n' "launched $RBDSR_DRIVER" "$#" "$1"\nexit 3\n`);
    for (const program of [join(this.home, 'divert.py'), this.launcher]) chmodSync(program, 0o755);
    // A link is made anew, with the real file as its end; an executable of its own is moved away.
    if (this.tree.stockFile === this.tree.entry) renameSync(this.tree.entry, this.stock);
    else {
      rmSync(this.tree.entry);
      symlinkSync(this.tree.stockFile, this.stock);
    }
    symlinkSync(join(this.home, 'divert.py'), this.tree.entry);
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
        env: { RBDSR_HOME: this.home, PYTHONDONTWRITEBYTECODE: '1', ...site, ...env },
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
