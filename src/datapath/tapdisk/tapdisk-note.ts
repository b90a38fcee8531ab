import { dirname } from 'node:path';
import { ensureDir, readIfExists, removeIfExists, writeFileAtomic } from '../../system/files.ts';
import { processFacts } from '../../system/processes.ts';
import type { TapCtl } from './tap-ctl.ts';
import { refuseUnheard } from './unheard-tapdisk.ts';

/**
 * What a launch has made so far, on a file of the disk's own until the tapdisk serves its image: only then does
 * `tap-ctl list` tell whose it is. A crash between tap-ctl's answer and the note, a moment, costs a minor or an idle
 * tapdisk.
 */
export class TapdiskNote {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  allocated(minor: number): void {
    ensureDir(dirname(this.#path), 0o700);
    this.#write({ minor });
  }

  spawned(minor: number, pid: number): void {
    this.#write({ minor, pid, startedAt: processFacts(pid)?.startedAt });
  }

  remove(): void {
    removeIfExists(this.#path);
  }

  /**
   * Takes away what the note names, and nothing else: not a process that has the number by now, nor a minor that
   * somebody serves, nor a process that has the disk's volume open: it serves, whatever tap-ctl heard. The note goes
   * before the minor does, so that it never names one that is another's.
   */
  async takeAway(tapCtl: TapCtl, volume: string): Promise<void> {
    const made = this.#read();
    if (made === undefined) return;
    const [present] = await tapCtl.list(made.minor);
    const serves = present?.image !== undefined;
    if (!serves && isAlive(made)) {
      refuseUnheard([made.pid], [volume]);
      if (present?.pid === made.pid) await tapCtl.detach(made.pid, made.minor);
      else process.kill(made.pid, 'SIGTERM');
    }
    this.remove();
    if (present === undefined) await tapCtl.freeUnlisted(made.minor);
    else if (!serves && (present.pid === undefined || present.pid === made.pid)) await tapCtl.free(made.minor);
  }

  #write(made: Made): void {
    writeFileAtomic(this.#path, `${JSON.stringify(made)}\n`, 0o600);
  }

  #read(): Made | undefined {
    const text = readIfExists(this.#path);
    if (text === undefined) return undefined;
    try {
      const made = JSON.parse(text) as Made;
      return Number.isInteger(made.minor) ? made : undefined;
    } catch {
      return undefined;
    }
  }
}

interface Made {
  readonly minor: number;
  readonly pid?: number;
  /** Tells a process from the next one with its number; milliseconds since 1970. */
  readonly startedAt?: number | undefined;
}

function isAlive(made: Made): made is Made & { readonly pid: number } {
  const { pid, startedAt } = made;
  if (pid === undefined || startedAt === undefined) return false;
  const now = processFacts(pid)?.startedAt;
  return now !== undefined && Math.abs(now - startedAt) <= CLOCK_MS;
}

/** By which the time of boot, from which starts are counted, may have been corrected. */
const CLOCK_MS = 2000;
