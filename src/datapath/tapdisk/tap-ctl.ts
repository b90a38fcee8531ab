import type { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import { runFailure, runProgram, succeeded } from '../../system/run.ts';
import { parseServing, parseTapdisks, pidsWithoutMinor } from './tapdisk-list.ts';
import type { Tapdisk } from './tapdisk-list.ts';

/**
 * blktap's `tap-ctl`, one method per subcommand (blktap `control/tap-ctl.c`). A failure is 'tapdisk-failed' with the
 * exit code in its facts.
 */
export class TapCtl {
  readonly #program: string;
  readonly #closeTimeoutSeconds: number | undefined;
  readonly #deadline: Deadline;

  constructor(options: {
    readonly program: string;
    readonly closeTimeoutSeconds?: number;
    readonly deadline: Deadline;
  }) {
    this.#program = options.program;
    this.#closeTimeoutSeconds = options.closeTimeoutSeconds;
    this.#deadline = options.deadline;
  }

  /**
   * What is known of one minor. Nothing of one that no tapdisk has, before blktap 3.35 (XenServer and XCP-ng up to
   * 8.1): it looks for another name in sysfs than the kernel gives (blktap `control/tap-ctl-list.c`, commit ffe3056).
   */
  async list(minor: number): Promise<readonly Tapdisk[]> {
    return parseTapdisks(await this.#run(['list', '-m', String(minor)]));
  }

  /** Those that serve an image at one of the paths that `wanted` picks, and the pids of those that name no minor. */
  async serving(
    wanted: (path: string) => boolean,
  ): Promise<{ readonly serving: readonly Tapdisk[]; readonly withoutMinor: readonly number[] }> {
    const text = await this.#run(['list']);
    return { serving: parseServing(text, wanted), withoutMinor: pidsWithoutMinor(text) };
  }

  /**
   * The path of the new device: `/dev/xen/blktap-2/tapdev<minor>`, or `/run/blktap-control/tapdisk/tapdisk-<minor>`
   * without nodes.
   */
  async allocate(): Promise<{ readonly device: string; readonly minor: number }> {
    const device = (await this.#run(['allocate'])).trim();
    const minor = /([0-9]+)$/.exec(device)?.[1];
    if (minor === undefined) throw unexpected('allocate', 'a path that ends in a minor number', device);
    return { device, minor: Number(minor) };
  }

  /** Its pid. Exit code 1 is a tapdisk that was not ready in time: tried ten times (sm `blktap2.py`, TapCtl.spawn). */
  async spawn(): Promise<number> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const pid = (await this.#run(['spawn'])).trim();
        if (/^[0-9]+$/.test(pid)) return Number(pid);
        throw unexpected('spawn', 'a process id', pid);
      } catch (error) {
        if (attempt === SPAWN_ATTEMPTS || exitCodeOf(error) !== 1 || this.#deadline.leftMs < SPAWN_PAUSE_MS)
          throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, SPAWN_PAUSE_MS));
    }
  }

  async attach(pid: number, minor: number): Promise<void> {
    await this.#run(['attach', ...target(pid, minor)]);
  }

  async open(
    pid: number,
    minor: number,
    image: { readonly kind: string; readonly path: string; readonly writable: boolean },
  ): Promise<void> {
    const args = ['open', ...target(pid, minor), '-a', `${image.kind}:${image.path}`];
    await this.#run(image.writable ? args : [...args, '-R']);
  }

  /** Refused for one that is paused already, and by blktap of any version for one that serves nothing. */
  async pause(pid: number, minor: number): Promise<void> {
    await this.#run(['pause', ...target(pid, minor)]);
  }

  /** Opens the image at that path, with its parents as they are by now. */
  async unpause(pid: number, minor: number, image: { readonly kind: string; readonly path: string }): Promise<void> {
    await this.#run(['unpause', ...target(pid, minor), '-a', `${image.kind}:${image.path}`]);
  }

  async close(pid: number, minor: number): Promise<void> {
    const timeout = this.#closeTimeoutSeconds === undefined ? [] : ['-t', String(this.#closeTimeoutSeconds)];
    await this.#run(['close', ...target(pid, minor), ...timeout]);
  }

  async detach(pid: number, minor: number): Promise<void> {
    await this.#run(['detach', ...target(pid, minor)]);
  }

  async free(minor: number): Promise<void> {
    await this.#run(['free', '-m', String(minor)]);
  }

  /** The same for a minor that is not listed: nobody may have it any more, and one in use is not let go of (EBUSY). */
  async freeUnlisted(minor: number): Promise<void> {
    try {
      await this.free(minor);
    } catch (error) {
      if (!hasCode(error, 'tapdisk-failed')) throw error;
    }
  }

  async #run(args: readonly string[]): Promise<string> {
    const outcome = await runProgram(this.#program, args, { deadline: this.#deadline });
    if (succeeded(outcome)) return outcome.stdout;
    const failure = runFailure(outcome);
    if (outcome.end.kind !== 'exit') throw failure;
    throw new RbdsrError('tapdisk-failed', {
      what: failure.detail.what,
      facts: { subcommand: args[0] ?? '', code: outcome.end.code, stderr: outcome.stderr.trim() },
      cause: failure,
    });
  }
}

const SPAWN_ATTEMPTS = 10;
const SPAWN_PAUSE_MS = 500;

function target(pid: number, minor: number): string[] {
  return ['-p', String(pid), '-m', String(minor)];
}

function exitCodeOf(error: unknown): unknown {
  return error instanceof RbdsrError && error.code === 'tapdisk-failed' ? error.detail.facts?.['code'] : undefined;
}

function unexpected(subcommand: string, expected: string, found: string): RbdsrError {
  return new RbdsrError('tapdisk-failed', {
    what: `tap-ctl ${subcommand} answered something unknown`,
    expected,
    found: JSON.stringify(found.slice(0, 200)),
    facts: { subcommand },
  });
}
