import { bareNodeMs, factorOf } from './machine/machine-speed.mjs';

interface Step {
  readonly title: string;
  readonly seconds: number;
  readonly ok: boolean;
}

/** An account for a person who watches: what happens, how long it took, how it ended. */
export class Story {
  readonly #steps: Step[] = [];
  readonly #limits: readonly [aim: number, most: number];
  readonly #errors: string[] = [];

  /** `limits`: what all of it is to take and may take at most, seconds, where `node -e 0` takes REFERENCE_MS. */
  constructor(limits: readonly [aim: number, most: number]) {
    this.#limits = limits;
  }

  async step<T>(title: string, work: () => Promise<T>): Promise<T> {
    print(`\n${title} ...`);
    const started = performance.now();
    let ok = false;
    try {
      const value = await work();
      ok = true;
      return value;
    } finally {
      const seconds = (performance.now() - started) / 1000;
      this.#steps.push({ title, seconds, ok });
      print(`   ${ok ? 'done' : 'FAILED'} after ${seconds.toFixed(1)} s`);
    }
  }

  /** Before the first step. */
  say(...lines: readonly string[]): void {
    for (const line of lines) print(line);
  }

  note(text: string): void {
    print(`   ${text}`);
  }

  failed(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.#errors.push(text);
    print(`\nError: ${text}`);
  }

  table(): void {
    print('\n  seconds  step');
    for (const { title, seconds, ok } of this.#steps)
      print(`${seconds.toFixed(1).padStart(9)}  ${title}${ok ? '' : ' (FAILED)'}`);
    const total = this.#steps.reduce((sum, { seconds }) => sum + seconds, 0);
    print(`${total.toFixed(1).padStart(9)}  in all`);
    const nodeMs = bareNodeMs();
    const factor = factorOf(nodeMs);
    const [aim, most] = this.#limits.map((seconds) => (seconds * factor).toFixed(0));
    const here = `\`node -e 0\` takes ${nodeMs.toFixed(0)} ms here, a factor of ${factor.toFixed(2)}`;
    print(`${here}: the aim is ${aim} s, the limit ${most} s.`);
  }

  /** The exit code, said in words. */
  verdict(): number {
    print(this.#errors.length === 0 ? '\nThe demo PASSED.' : `\nThe demo FAILED: ${this.#errors.join('; ')}`);
    return this.#errors.length === 0 ? 0 : 1;
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
