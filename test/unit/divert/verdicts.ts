import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDiverted } from '../../../src/sr/config/diverted.ts';
import { decodeRequest } from '../../../src/sm/protocol/request.ts';

export type Verdict = 'ours' | 'stock';

const DIVERT = join(import.meta.dirname, '../../../src/main/divert.py');

/** The dispatcher with programs that do nothing but say which of the two they are. */
export class Verdicts implements Disposable {
  readonly #root = mkdtempSync(join(tmpdir(), 'rbdsr-divert-verdicts-'));
  readonly #script: string;

  constructor() {
    mkdirSync(join(this.#root, 'stock'));
    this.#place('stock/LVMoISCSISR', '#!/bin/sh\necho stock\n');
    this.#place('launcher.sh', '#!/bin/sh\necho ours\n');
    this.#script = join(this.#root, 'divert.py');
    symlinkSync(DIVERT, this.#script);
  }

  /** What the sh half says. */
  sh(shell: string, argument: string): Verdict {
    const { stdout, stderr, error } = spawnSync(shell, [this.#script, argument], {
      env: { RBDSR_HOME: this.#root, PATH: '/nowhere' },
      encoding: 'utf8',
    });
    if (error !== undefined) throw error;
    if (stderr !== '') throw new Error(stderr);
    return stdout.trim() as Verdict;
  }

  /** What the Python half says, one verdict an argument. */
  python(program: string, args: readonly string[]): readonly Verdict[] {
    const file = join(this.#root, 'args.json');
    writeFileSync(file, JSON.stringify(args));
    const code = `
import json, sys
source = open(sys.argv[1]).read()
scope = {}
exec(source[:source.rindex('_rbdsr_enter(')], scope)
asked = json.load(open(sys.argv[2]))
if sys.version_info[0] == 2:
    asked = [text.encode('utf-8') for text in asked]
print(' '.join([scope['_rbdsr_is_ours'](text) and 'ours' or 'stock' for text in asked]))
`;
    const env = { PYTHONIOENCODING: 'utf-8', PYTHONUTF8: '1', LC_ALL: 'C.UTF-8' };
    const out = execFileSync(program, ['-c', code, DIVERT, file], { encoding: 'utf8', env });
    return out.trim().split(' ') as Verdict[];
  }

  #place(name: string, text: string): void {
    writeFileSync(join(this.#root, name), text);
    chmodSync(join(this.#root, name), 0o755);
  }

  [Symbol.dispose](): void {
    rmSync(this.#root, { recursive: true, force: true });
  }
}

/** What RBDSR itself decides; undefined where it cannot read the request. */
export function ownVerdict(argument: string): Verdict | undefined {
  try {
    return isDiverted(decodeRequest([argument]).deviceConfig) ? 'ours' : 'stock';
  } catch {
    return undefined;
  }
}

/** The dispatcher's source, for tests that look at it. */
export function divertSource(): string {
  return readFileSync(DIVERT, 'utf8');
}
