import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { statFields } from './process-stat.ts';
import { labFolder } from './project.ts';

/** Something of the machine that outlives our process unless it is taken down. */
export type Belonging =
  | { readonly kind: 'netns'; readonly name: string }
  | { readonly kind: 'mount'; readonly path: string }
  | { readonly kind: 'folder'; readonly path: string };

/**
 * One run of the lab: a folder for all its state and a ledger of what it made on this machine. The ledger is written
 * before the thing is made, so that whoever sweeps after a kill -9 finds everything. Processes need no entry: each
 * runs in a network namespace of the run, or carries the run's mark in its environment, or dies with us.
 */
export class RunFolder {
  readonly id: string;
  readonly path: string;
  /** Short, because a unix socket's path is limited to 107 bytes. */
  readonly socketPath: string;
  readonly #ledger: string;
  #ended = false;

  private constructor(id: string) {
    this.id = id;
    this.path = labFolder('runs', id);
    this.socketPath = `/tmp/rbdsr-lab-${id}`;
    this.#ledger = join(this.path, 'ledger');
  }

  /** A new run owned by `ownerPid` (default: this process); when that process is gone the run may be swept. */
  static create(ownerPid: number = process.pid): RunFolder {
    const run = new RunFolder(randomBytes(3).toString('hex'));
    writeFileSync(join(run.path, 'owner'), `${ownerPid} ${processStart(ownerPid) ?? 'gone'}\n`);
    run.note({ kind: 'folder', path: run.socketPath });
    // A program that runs as another user has to get through to what is its own.
    mkdirSync(run.socketPath, { mode: 0o711 });
    return run;
  }

  /**
   * What a program of this run carries in its environment, unless it runs in a namespace of the run or dies with us.
   */
  get mark(): Readonly<Record<string, string>> {
    return { [RUN_MARK]: this.id };
  }

  /**
   * From now on nothing more is made for this run: whoever takes it down does not race with whoever still brings it up.
   */
  end(): void {
    this.#ended = true;
  }

  /** Throws if the run is being taken down. */
  note(belonging: Belonging): void {
    this.#expectNotEnded();
    appendFileSync(this.#ledger, `${JSON.stringify(belonging)}\n`);
  }

  /** A folder of that name, made if it is not there. Throws if the run is being taken down. */
  folder(name: string): string {
    this.#expectNotEnded();
    const path = join(this.path, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** A folder in memory, made if it is not there. Throws if the run is being taken down. */
  memoryFolder(): string {
    const path = `/dev/shm/rbdsr-lab-${this.id}`;
    if (!existsSync(path)) this.note({ kind: 'folder', path });
    else this.#expectNotEnded();
    mkdirSync(path, { recursive: true });
    return path;
  }

  #expectNotEnded(): void {
    if (this.#ended) throw new Error(`the run ${this.id} is being taken down`);
  }
}

/** The mark that every process of a run carries in its environment. */
export const RUN_MARK = 'RBDSR_LAB_RUN';

/**
 * When a process started, in clock ticks since boot: with the pid it names a process for ever (proc(5), stat field 22).
 */
export function processStart(pid: number): string | undefined {
  const [state, ...rest] = statFields(`/proc/${pid}/stat`) ?? [];
  return state === 'Z' ? undefined : rest[18];
}
