import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';
import type { SrUuid } from '../base/ids.ts';

/**
 * Stock's lock of a collector that is at work, `gc_active`, as long as this process lives and wants it: stock's
 * collector ends at once where it is held. HA waits for it without limit, and so it is held by a process of its own
 * that never touches a device, and that lets go as soon as an end is asked for (cli/sr/gc-holder.ts), whatever becomes
 * of a write that is on its way here.
 */
export class StockLock implements AsyncDisposable {
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  /** 'lock-busy' where it is not to be had. `program`: what starts the holder. */
  static async take(program: readonly string[], sr: SrUuid, deadline: Deadline): Promise<StockLock> {
    const [node = '', ...args] = program;
    const holder = spawn(node, [...args, 'gc', sr, '--hold'], { cwd: '/', stdio: ['pipe', 'pipe', 'ignore'] });
    const held = Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')]);
    try {
      await deadline.race(held, 'the process that holds the lock gc_active');
    } catch (error) {
      holder.kill();
      throw error;
    }
    if (holder.exitCode === null && holder.signalCode === null) return new StockLock(holder);
    throw new RbdsrError('lock-busy', {
      what: `SR ${sr} is not collected`,
      expected: 'the lock gc_active to be free',
      found: 'another collector has come in between, or somebody asks for an end',
    });
  }

  /** Of the process that has it. */
  get pid(): number | undefined {
    return this.#holder.pid;
  }

  get isHeld(): boolean {
    return this.#holder.exitCode === null && this.#holder.signalCode === null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isHeld) return;
    const ended = once(this.#holder, 'exit');
    this.#holder.stdin?.end();
    await ended;
  }
}
