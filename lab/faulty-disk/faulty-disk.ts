import { bundle } from '../hosts/agent-bundle.ts';
import type { Host } from '../hosts/host.ts';
import { onMachine } from '../hosts/start-script.ts';
import type { FaultPlan } from './fault.ts';
import { EXPORT_NAME } from './server.ts';

/** Of the devices that the hosts have, the last: the product takes them from the first on. */
const DEVICE = '/dev/nbd15';
const FOLDER = '/run/lab/faulty-disks';
const NAME = `${FOLDER}/disk`;

/** A block device of a host that does one thing wrong, made to prove that whoever looks after the data notices. */
export class FaultyDisk {
  readonly device = DEVICE;
  readonly #host: Host;

  private constructor(host: Host) {
    this.#host = host;
  }

  /** What serves such disks on a host, one at a time; until `stopServing`. */
  static async serve(host: Host): Promise<void> {
    await host.writeFile(`${FOLDER}/agent.cjs`, await bundle('lab/faulty-disk/agent.ts'));
    await host.shell(
      `"${onMachine(process.execPath)}" ${FOLDER}/agent.cjs ${FOLDER} >${FOLDER}/log 2>&1 </dev/null &
       echo $! >${FOLDER}/pid
       until grep -q ready ${FOLDER}/log; do kill -0 $! || { cat ${FOLDER}/log >&2; exit 1; }; sleep 0.02; done`,
    );
  }

  static async stopServing(host: Host): Promise<void> {
    await host.shell(`kill -KILL "$(cat ${FOLDER}/pid)"; rm -rf ${FOLDER}`);
  }

  static async start(host: Host, plan: FaultPlan): Promise<FaultyDisk> {
    const script = `
cat >${NAME}.new
mv ${NAME}.new ${NAME}.plan
until [ -S ${NAME}.socket ]; do sleep 0.02; done
${CONNECT}`;
    await host.shell(script, { stdin: JSON.stringify(plan) });
    return new FaultyDisk(host);
  }

  /** After a power cut: with what the disk has kept, and sound from now on. */
  async powerOn(): Promise<void> {
    await this.#host.shell(`${DISCONNECT}${CONNECT}`);
  }

  async remove(): Promise<void> {
    await this.#host.shell(`${DISCONNECT}rm ${NAME}.plan\nwhile [ -e ${NAME}.socket ]; do sleep 0.02; done`);
  }
}

/**
 * -L: a client of its own waits for the end of the connection; without it what is in flight then would wait for ever.
 */
const CONNECT = `
nbd-client -unix ${NAME}.socket ${DEVICE} -L -N ${EXPORT_NAME} -b 512
while [ "$(blockdev --getsize64 ${DEVICE})" = 0 ]; do sleep 0.02; done
udevadm settle
`;

const DISCONNECT = `
nbd-client -d ${DEVICE} || true
while [ -e /sys/block/${DEVICE.slice(5)}/pid ]; do sleep 0.02; done
udevadm settle
`;
