import { randomBytes } from 'node:crypto';
import { cpioArchive, FILE, PROGRAM } from '../hosts/cpio.ts';
import { busyboxRoot, initHead } from '../hosts/first-root.ts';
import type { Guest, GuestOptions, GuestOutcome } from '../hosts/guest.ts';
import type { Host } from '../hosts/host.ts';
import { labKernel, moduleFiles } from './kernel.ts';

/** Emulation on a machine that is busy otherwise. */
const BUSY_MS = 600_000;
const HOTPLUG = '/etc/xen/scripts/lab-block';
const BEGIN = '==== guest begins ====';
const END = /==== guest ended with (\d+) ====/;

/** A Xen PV guest with one disk, served by dom0's kernel (xen-blkback), that runs a script and powers off. */
export class PvGuest implements Guest {
  readonly name: string;
  readonly #dom0: Host;

  private constructor(dom0: Host, name: string) {
    this.#dom0 = dom0;
    this.name = name;
  }

  /** Resolves when the guest runs, which is before its script does. */
  static async start(dom0: Host, o: GuestOptions): Promise<PvGuest> {
    const guest = new PvGuest(dom0, o.name ?? `guest-${randomBytes(3).toString('hex')}`);
    const kernel = labKernel();
    const folder = `/run/lab/${guest.name}`;
    await Promise.all([
      dom0.writeFile(HOTPLUG, HOTPLUG_SCRIPT, '755'),
      dom0.writeFile(`${folder}/initrd`, await guestInitrd(o.script)),
      dom0.writeFile(
        `${folder}/config`,
        `type="pv"
name="${guest.name}"
kernel="${kernel.path}"
ramdisk="${folder}/initrd"
extra="console=hvc0 quiet"
memory=${o.memoryMiB ?? 192}
vcpus=1
vif=[]
disk=["format=raw,vdev=xvda,access=${o.writable ? 'rw' : 'ro'},script=${HOTPLUG},target=${o.device}"]
on_poweroff="destroy"
on_crash="destroy"
on_reboot="destroy"
`,
      ),
    ]);
    await dom0.check(['xl', 'create', `${folder}/config`], { timeoutMs: BUSY_MS });
    return guest;
  }

  /** Waits for the script's end. */
  async finished(timeoutMs = BUSY_MS): Promise<GuestOutcome> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      const text = (await this.console()).replaceAll('\r', '');
      const [, code] = END.exec(text) ?? [];
      if (code !== undefined) return { code: Number(code), output: between(text) };
      if (Date.now() > until) throw new Error(`guest ${this.name} has not finished: ${text.slice(-1500)}`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  /** Everything the guest printed, its kernel included. */
  async console(): Promise<string> {
    return (await this.#dom0.exec(['cat', `/var/log/xen/console/guest-${this.name}.log`])).stdout;
  }

  /** Off and gone, its disk released; safe to repeat. */
  async destroy(): Promise<void> {
    await this.#dom0.exec(['xl', 'destroy', this.name]);
    for (let turn = 0; turn < 60; turn += 1) {
      if ((await this.#dom0.exec(['xl', 'domid', this.name])).code !== 0) break;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await this.#dom0.check(['rm', '-rf', `/run/lab/${this.name}`]);
  }
}

async function guestInitrd(script: string): Promise<Buffer> {
  const modules = await moduleFiles(labKernel(), ['xen-blkfront']);
  const init = `${initHead(modules)}tries=0
until [ -b /dev/xvda ] || [ $tries -gt 300 ]; do sleep 0.1; tries=$((tries + 1)); done
echo "${BEGIN}"
sh /script 2>&1
echo "==== guest ended with $? ===="
sync
poweroff -f
`;
  return cpioArchive([
    ...busyboxRoot(modules),
    { path: 'init', mode: PROGRAM, data: Buffer.from(init) },
    { path: 'script', mode: FILE, data: Buffer.from(script) },
  ]);
}

function between(text: string): string {
  const from = text.indexOf(BEGIN);
  return text.slice(from + BEGIN.length, text.search(END)).trim();
}

/** Tells blkback which device it serves. Xen's own script ends too late for emulation: xl waits ten seconds for it. */
const HOTPLUG_SCRIPT = `#!/bin/sh
[ "$1" = add ] || exit 0
device=$(xenstore-read "$XENBUS_PATH/params")
numbers=$(stat -L -c '%t:%T' "$device")
xenstore-write "$XENBUS_PATH/physical-device" "$numbers" "$XENBUS_PATH/physical-device-path" "$device" "$XENBUS_PATH/hotplug-status" connected
`;
