import { randomInt } from 'node:crypto';
import type { DiskUser } from './disk-user.ts';
import { type FailedRequest, optionWords, type Progress, type RecordLayout, type Written } from './records.ts';

export interface WriterOptions {
  /** Bytes. Default: 4 KiB. */
  readonly record?: number;
  /** Default: as many as the disk has room for. */
  readonly slots?: number;
  readonly discards?: number;
  /** A run to go on with, behind the last record that was flushed. What was sent after that is written again. */
  readonly after?: Written;
  /** It ends by itself after as many; without, only when it is told, or a request fails. */
  readonly count?: number;
  /** Requests in flight. */
  readonly depth?: number;
  /** A flush goes out whenever as many records were written. */
  readonly flush?: number;
}

/** The first line of a writer: what it found. */
interface Found {
  readonly span: number;
  readonly slots: number;
  readonly cache: boolean;
  readonly discards: boolean;
}

/** A program on a host that goes on writing numbered records to a disk while things happen to both. */
export class RecordWriter {
  readonly layout: RecordLayout;
  /** Whether the device has a write cache to be flushed, and takes discards. */
  readonly device: { readonly cache: boolean; readonly discards: boolean };
  readonly #user: DiskUser;
  readonly #log: string;
  readonly #pid: string;
  readonly #before: Written | undefined;
  #seen: Progress;

  private constructor(user: DiskUser, { log, pid, layout, found, before }: Started) {
    this.#user = user;
    this.#log = log;
    this.#pid = pid;
    this.#before = before;
    this.layout = layout;
    this.device = { cache: found.cache, discards: found.discards };
    const flushed = before?.flushed ?? 0;
    this.#seen = { flushed, sent: flushed, failures: [], ended: false };
  }

  /** Resolves when it has the device open. */
  static async start(user: DiskUser, device: string, o: WriterOptions = {}): Promise<RecordWriter> {
    const known = o.after ?? {
      run: randomInt(1, 2 ** 47),
      record: o.record ?? 4096,
      span: 0,
      slots: o.slots ?? 0,
      discards: o.discards ?? 0,
    };
    const { run, record, span, slots, discards } = known;
    const first = (o.after?.flushed ?? 0) + 1;
    const { count = 0, depth = 32, flush = 16 } = o;
    const words = optionWords({ run, record, span, slots, discards, first, count, depth, flush });
    const said = await user.shell(STARTS, [user.program, 'write', device, ...words]);
    const [log = '', pid = '', line = ''] = said.split('\n');
    if (!line.startsWith('{')) throw new Error(`the writer of records did not start: ${line}`);
    const found = JSON.parse(line) as Found;
    const layout = { run, record, discards, span: found.span, slots: found.slots };
    return new RecordWriter(user, { log, pid, layout, found, before: o.after });
  }

  /** What it has flushed by now, and which requests failed. */
  async progress(): Promise<Progress> {
    if (!this.#seen.ended) this.#hear(await this.#user.shell(SAYS, [this.#log]));
    return this.#seen;
  }

  /** Waits until that record and every one before it is flushed. */
  async hasFlushed(record: number, timeoutMs = 120_000): Promise<Progress> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      const { flushed, failures, ended } = await this.progress();
      if (flushed >= record) return this.#seen;
      if (ended || Date.now() > until)
        throw new Error(`record ${record} is not flushed, the last is ${flushed}: ${JSON.stringify(failures[0])}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Tells it to stop: what was sent is finished and flushed, unless a request fails. */
  async stop(timeoutMs = 120_000): Promise<Progress> {
    await this.#user.exec(['kill', '-TERM', this.#pid]);
    return this.ended(timeoutMs);
  }

  /** Waits until it has ended, because of a failure, by its count, or since it was told to. */
  async ended(timeoutMs = 120_000): Promise<Progress> {
    if (this.#seen.ended) return this.#seen;
    const seconds = String(Math.ceil(timeoutMs / 1000));
    const text = await this.#user.shell(WAITS + SAYS, [this.#log, this.#pid, seconds]);
    this.#hear(text);
    if (!this.#seen.ended)
      throw new Error(`the writer of records has died, or still runs after ${seconds} s: ${text.slice(-500)}`);
    await this.#user.check(['rm', '-f', this.#log]);
    return this.#seen;
  }

  /**
   * For the verifier, and for who goes on. Of a writer that was not seen to end it is what it was last seen to have
   * done.
   */
  get written(): Written {
    const { flushed, sent, ended } = this.#seen;
    const before = this.#before;
    const known = ended && (before === undefined || before.sent !== undefined);
    return { ...this.layout, flushed, sent: known ? Math.max(sent, before?.sent ?? 0) : undefined };
  }

  #hear(text: string): void {
    // The last line may not be whole yet.
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    const said = lines.filter((line) => line !== '').map(parse);
    const last = said.findLast((one): one is Progress => 'flushed' in one);
    this.#seen = {
      flushed: last?.flushed ?? this.#seen.flushed,
      sent: last?.sent ?? this.#seen.sent,
      failures: said.filter((one): one is FailedRequest => 'failed' in one),
      ended: last?.ended ?? false,
    };
  }
}

interface Started {
  readonly log: string;
  readonly pid: string;
  readonly layout: RecordLayout;
  readonly found: Found;
  readonly before: Written | undefined;
}

/** What it says goes to a file of the host; prints that, its process and its first line. */
const STARTS = `
log=$(mktemp -t records-XXXXXX)
setsid "$@" >"$log" 2>&1 </dev/null &
while [ ! -s "$log" ] && kill -0 $! 2>/dev/null; do sleep 0.02; done
echo "$log"
echo $!
head -n 1 "$log"`;

/** Until the process $2 is gone, $3 seconds at most. */
const WAITS = `
end=$((SECONDS + $3))
while [ $SECONDS -lt $end ] && kill -0 "$2" 2>/dev/null; do sleep 0.1; done`;

/** All that it has said, but of the flushes only the last. */
const SAYS = `
grep -v '"flushed"' "$1" || true
tail -n 2 "$1" | grep '"flushed"' || true`;

function parse(line: string): FailedRequest | Progress | Found {
  try {
    return JSON.parse(line) as FailedRequest | Progress | Found;
  } catch {
    throw new Error(`the writer of records says ${line}`);
  }
}
