import type { Host } from '../lab/hosts/host.ts';
import type { Pool } from '../lab/pool.ts';
import { median, type Reference } from './bench.ts';

const NODE = '/opt/rbdsr/runtime/bin/node';
const TRACE = '/run/lab/trace';

/**
 * The tracer is a child of the driver's (-D), so what the driver leaves running holds up nobody. It lives as long as
 * that, with the same stdout, so that has to be a file.
 */
const TRACED = `
strace -D -f -qq -e trace=execve -e signal=none -o ${TRACE} "$@" >${TRACE}.stdout 2>${TRACE}.stderr
code=$?
cat ${TRACE}.stdout
cat ${TRACE}.stderr >&2
exit $code`;

/**
 * What a command is seen beside: what our runtime's start alone costs on that host, and one program of LVM that looks
 * at the same SR.
 */
export class BareProgram {
  readonly name: string;
  readonly #argv: readonly string[];
  readonly #samples: number[] = [];

  private constructor(name: string, argv: readonly string[]) {
    this.name = name;
    this.#argv = argv;
  }

  static node(): BareProgram {
    return new BareProgram('node -e 0', [NODE, '-e', '0']);
  }

  static lvs(vg: string): BareProgram {
    const config = 'devices{use_devicesfile=0 types=["rbd",16] filter=["a|^/dev/rbd|","r|.*|"]}';
    return new BareProgram('lvs', ['lvs', '--config', config, vg]);
  }

  /** Runs it once; milliseconds, as long as the lab waits. */
  async run(host: Host): Promise<number> {
    const started = performance.now();
    await host.check(this.#argv);
    return performance.now() - started;
  }

  async sample(host: Host): Promise<void> {
    this.#samples.push(await this.run(host));
  }

  get reference(): Reference {
    return { name: this.name, value: median(this.#samples) };
  }
}

/** How many programs the drivers start meanwhile on that host, themselves and what they leave running among them. */
export async function programsOf(pool: Pool, host: Host, work: () => Promise<unknown>): Promise<number> {
  await host.shell(`: >${TRACE}`);
  await pool.withDriversUnder(['sh', '-c', TRACED, 'sh'], work);
  return [...(await host.readFile(TRACE)).toString().matchAll(/\bexecve(?:\(| resumed).* = 0$/gm)].length;
}
