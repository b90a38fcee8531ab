import type { Outcome } from '../../../../lab/machine/program.ts';
import type { Pool } from '../../../../lab/pool.ts';

/** In the free part of the SR's volume group. */
const SECTOR = 819_200;
const WRITES = `dd of=/dev/rbd0 bs=512 count=1 seek=${SECTOR} oflag=direct conv=notrunc iflag=fullblock`;

/** One sector of the SR's image, past every cache, as each host of the pool writes and sees it. */
export class OneSector {
  readonly #pool: () => Pool;

  constructor(pool: () => Pool) {
    this.#pool = pool;
  }

  async seen(host = 0): Promise<string> {
    const reads = `dd if=/dev/rbd0 bs=512 count=1 skip=${SECTOR} iflag=direct 2>/dev/null`;
    return (await this.#pool().host(host).shell(reads)).trim();
  }

  put(text: string, host = 0): Promise<Outcome> {
    return this.#pool()
      .host(host)
      .exec(['/bin/sh', '-c', `printf '%-512s' '${text}' | ${WRITES}`]);
  }

  /** The second host goes on writing numbers to it until one is refused; returns once it does. */
  async isWrittenOn(): Promise<void> {
    const script = `rm -f /run/refused /run/numbers /run/stop
(n=0; while [ ! -e /run/stop ] && printf '%-512s' "number $n" | ${WRITES} 2>/dev/null; do
  n=$((n+1)); echo $n >/run/numbers
done; echo $n >/run/refused) </dev/null >/dev/null 2>&1 &
until [ -s /run/numbers ] && [ "$(cat /run/numbers)" -gt 3 ]; do sleep 0.05; done`;
    await this.#pool().host(1).shell(script);
  }

  /** Until that has ended; `stop` ends it. */
  async isLeft({ stop = false } = {}): Promise<void> {
    const script = `${stop ? 'touch /run/stop' : ''}
until [ -e /run/refused ]; do sleep 0.1; done`;
    await this.#pool().host(1).shell(script, { timeoutMs: 120_000 });
  }
}
