import { randomBytes } from 'node:crypto';
import type { Guest, GuestOptions, GuestOutcome } from '../hosts/guest.ts';
import type { Host } from '../hosts/host.ts';

/**
 * What stands in for a guest where there is no hypervisor: the script runs in the host itself, on the device by its own name, and past the
 * host's cache before and after. What it cannot show is all that lies between a guest and its device: blkfront, blkback, and requests that come
 * from another kernel.
 */
export class ScriptInHost implements Guest {
  readonly name: string;
  readonly #host: Host;
  readonly #work: Promise<GuestOutcome>;

  private constructor(host: Host, name: string, work: Promise<GuestOutcome>) {
    this.#host = host;
    this.name = name;
    this.#work = work;
    work.catch(() => undefined); // told by `finished`
  }

  static start(host: Host, o: GuestOptions): ScriptInHost {
    const name = o.name ?? `script-${randomBytes(3).toString('hex')}`;
    return new ScriptInHost(host, name, run(host, name, o));
  }

  async finished(timeoutMs = 180_000): Promise<GuestOutcome> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${this.name} has not finished after ${timeoutMs} ms`)), timeoutMs);
    });
    try {
      return await Promise.race([this.#work, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async console(): Promise<string> {
    return (await this.#host.exec(['cat', `/run/lab/${this.name}`])).stdout;
  }

  async destroy(): Promise<void> {
    await this.#host.shell(`pkill -KILL -f '^sh ${this.name}' || true; rm -f /run/lab/${this.name}`);
  }
}

async function run(host: Host, name: string, o: GuestOptions): Promise<GuestOutcome> {
  const { code } = await host.exec(
    [
      '/bin/sh',
      '-c',
      `device=$(readlink -f "$1")
       blockdev --flushbufs "$device"
       sed -e "s|/dev/xvda|$device|g" -e "s|/sys/block/xvda|/sys/block/\${device#/dev/}|g" | busybox sh -s >/run/lab/${name} 2>&1
       code=$?
       blockdev --flushbufs "$device"
       exit $code`,
      name,
      o.device,
    ],
    { stdin: o.script, timeoutMs: 600_000 },
  );
  const output = await host.readFile(`/run/lab/${name}`);
  return { code, output: output.toString().trim() };
}
