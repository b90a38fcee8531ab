import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROJECT = join(import.meta.dirname, '../../..');

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A host that is a folder, and self-extracting files of a product that is a few lines of shell, so that installing it
 * takes no time.
 */
export class SmallHost implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'rbdsr-packaging-'));
  readonly root = join(this.folder, 'host');
  readonly home = join(this.root, 'opt/rbdsr');

  constructor() {
    mkdirSync(this.root);
  }

  /** `answers: false`: a version that does not run on this host; `build`: one of several of that version. */
  selfExtractor(version: string, o: { answers?: boolean; parts?: readonly string[]; build?: string } = {}): string {
    const build = o.build ?? version;
    const tree = join(this.folder, `tree-${build}`);
    mkdirSync(join(tree, 'runtime'), { recursive: true });
    const parts = ['sm.cjs', 'runtime/node', ...(o.parts ?? [])];
    for (const part of parts) writeFileSync(join(tree, part), `${build}\n`);
    writeFileSync(join(tree, 'launcher.sh'), launcher(version, build, parts, o.answers ?? true));
    chmodSync(join(tree, 'launcher.sh'), 0o755);
    const file = join(this.folder, `rbdsr-${build}.run`);
    execFileSync(process.execPath, [join(PROJECT, 'scripts/package/self-extractor.mjs'), tree, version, file]);
    return file;
  }

  run(file: string, ...args: string[]): Ended {
    return ended(['sh', file, '--root', this.root, ...args]);
  }

  /** Runs it in bash, which is killed before its n-th command; undefined where it had ended by then. */
  runKilledAt(n: number, file: string, ...args: string[]): Ended | undefined {
    const script = `set -T; n=0; trap 'n=$((n+1)); [ $n != ${n} ] || kill -9 $$' DEBUG; . "$0"`;
    const end = ended(['bash', '-c', script, file, '--root', this.root, ...args]);
    return end.signal === 'SIGKILL' ? end : undefined;
  }

  /** What the installed product says, or 'nothing' where there is none. */
  answer(to = 'version'): string {
    const program = join(this.home, 'launcher.sh');
    if (!existsSync(program)) return 'nothing';
    return ended([program, to], { RBDSR_HOME: this.home }).stdout.trim();
  }

  /** The names in /opt/rbdsr that are no links. */
  folders(): string[] {
    return readdirSync(this.home).filter((name) => !lstatSync(join(this.home, name)).isSymbolicLink());
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function ended([program = '', ...args]: readonly string[], env: NodeJS.ProcessEnv = {}): Ended {
  const end = spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, ...env }, maxBuffer: 2 ** 28 });
  if (end.error !== undefined) throw end.error;
  return { code: end.status, signal: end.signal, stdout: end.stdout, stderr: end.stderr };
}

/** Answers only when every part is there and of its version; keeps a record of the other commands it gets. */
function launcher(version: string, build: string, parts: readonly string[], answers: boolean): string {
  return `#!/bin/sh
home=\${RBDSR_HOME:-/opt/rbdsr}
for part in ${parts.join(' ')}; do
  read -r has <"$home/$part" || exit 1
  [ "$has" = ${build} ] || { echo "$part is of $has"; exit 1; }
done
if [ "$1" = build ]; then echo ${build}; exit 0; fi
if [ "$1" = version ]; then echo "Version : ${answers ? version : 'none'}"; exit 0; fi
echo "${version} $*" >>"$RBDSR_ROOT/asked"
[ ! -e "$RBDSR_ROOT/refuses" ]
`;
}
