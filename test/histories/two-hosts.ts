import { execFile } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mapOf, type Row, stringOf } from '../../lab/xapi-double/database.ts';
import { pbdPlug } from '../../lab/xapi-double/pbd-operations.ts';
import { pbdOn } from '../../lab/xapi-double/driver.ts';
import { toolstackStarts } from '../../lab/xapi-double/toolstack.ts';
import type { VdiUuid } from '../../src/base/ids.ts';
import { Deadline } from '../../src/base/deadline.ts';
import { MiB } from '../../src/base/units.ts';
import { nbdFiles } from '../../src/datapath/nbd/nbd-files.ts';
import { hostProfile } from '../../src/dom0/host-profile.ts';
import { readVdiNodes } from '../../src/lvhd/lv-table.ts';
import { openVdi } from '../../src/lvhd/open-vdi.ts';
import { VdiTree } from '../../src/lvhd/tree.ts';
import type { VgReport } from '../../src/lvm/report.ts';
import { lockHolder } from '../../src/system/locks/record-lock.ts';
import { type LoopPool, loopPool } from '../support/loop-pool.ts';
import { openFrom } from '../support/lvhd-vectors.ts';
import { ActiveVolumes } from '../support/stand-ins/active-volumes.ts';

const SR_BYTES = 8192 * MiB;
/** Volumes lie so far apart, and so grow in one piece: more than a VHD of the largest disk takes. */
const APART_BYTES = 32 * MiB;
const SETTINGS = 'profile = master\ndatapath = nbd\ndeadline = 60\ncollect = by-hand\n';

export interface End {
  readonly code: number;
  readonly output: string;
}

/** An SR as it lies on its device at one moment, read past the product's locks. */
export interface Sight {
  readonly report: VgReport;
  readonly tree: VdiTree;
  read(uuid: VdiUuid): Promise<Buffer>;
}

/** A pool of two hosts on which disks can come into use: real LVM, our NBD server, xapi's double. */
export class TwoHosts {
  readonly pool: LoopPool;
  readonly volumes: ActiveVolumes;

  private constructor(pool: LoopPool) {
    this.pool = pool;
    this.volumes = new ActiveVolumes(pool, { apartBytes: APART_BYTES });
    for (const index of [0, 1]) writeFileSync(`${pool.root(index)}/etc/rbdsr/rbdsr.conf`, SETTINGS);
  }

  static async make(allocation: 'thin' | 'thick'): Promise<TwoHosts> {
    return new TwoHosts(await loopPool({ sizeBytes: SR_BYTES, allocation }));
  }

  /** Drivers, plug-ins and commands that it starts see the volumes that are active, and die at the fault point. */
  started<T>(call: () => Promise<T>, kill?: string): Promise<T> {
    const killed = kill === undefined ? call : () => this.pool.withEnvironment({ RBDSR_FAULT: kill }, call);
    return this.pool.startedBy(this.volumes.prefix, killed);
  }

  /** `rbdsr ...` on the master. */
  command(args: readonly string[], kill?: string): Promise<End> {
    const [program = '', ...prefix] = this.volumes.prefix;
    const argv = [...prefix, process.execPath, join(this.pool.product, 'cli.cjs'), ...args];
    const fault = kill === undefined ? {} : { RBDSR_FAULT: kill };
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', RBDSR_ROOT: this.pool.root(0), ...fault };
    return this.started(
      () =>
        new Promise((resolve) => {
          execFile(program, argv, { env }, (error, stdout, stderr) => {
            const code = error === null ? 0 : Number(error.code ?? 137);
            resolve({ code, output: stdout + stderr });
          });
        }),
      kill,
    );
  }

  get srUuid(): string {
    return stringOf(this.pool.double.db.get('SR', this.pool.srRef), 'uuid');
  }

  hostRef(index: number): string {
    return this.pool.double.hosts[index]?.ref ?? '';
  }

  /** xapi's records of all disks and base copies. */
  records(): Row[] {
    return this.pool.double.db.where('VDI', 'SR', this.pool.srRef);
  }

  record(uuid: string): Row | undefined {
    return this.records().find((row) => stringOf(row, 'uuid') === uuid);
  }

  /** Whether something is under way with the disk, or was left so: its guests wait, nobody begins to use it. */
  isHeldBack(uuid: string): boolean {
    const row = this.record(uuid);
    const smConfig = row === undefined ? {} : mapOf(row, 'sm_config');
    return ['paused', 'relinking', 'activating'].some((key) => Object.hasOwn(smConfig, key));
  }

  socketOf(uuid: string, host: number): string {
    const { pool } = this;
    return nbdFiles(hostProfile('8.3b', { commandDeadlineSeconds: {} }, pool.root(host)), uuid).socket;
  }

  /** As after the start of a host's toolstack. */
  async replug(index: number): Promise<void> {
    const pbd = pbdOn(this.pool.double, this.pool.srRef, this.hostRef(index));
    pbd.fields['currently_attached'] = false;
    await this.started(() => pbdPlug(this.pool.double, pbd.ref));
  }

  /** It dies, with all that runs there and all that it keeps in memory, and starts again. */
  async reboot(index: number): Promise<void> {
    const { double } = this.pool;
    await this.#endServers(index);
    this.volumes.forget(index);
    const root = this.pool.root(index);
    for (const name of ['var/run', 'var/lock', 'run']) rmSync(join(root, name), { recursive: true, force: true });
    for (const { ref } of double.db
      .all('VBD')
      .filter((vbd) => double.attachedOn.get(vbd.ref) === this.hostRef(index))) {
      double.attachedOn.delete(ref);
      double.db.destroy('VBD', ref);
    }
    toolstackStarts(double, this.hostRef(index));
    await this.replug(index);
  }

  async sight(): Promise<Sight> {
    const { sr } = this.pool;
    const report = await sr.report();
    const tree = new VdiTree(await readVdiNodes(report, sr.pvIo));
    return {
      report,
      tree,
      read: async (uuid) => {
        const io = await openVdi(tree, uuid, openFrom(report, sr.pvIo));
        return io.read(0, io.size);
      },
    };
  }

  /** Also of a history that went wrong: guests are gone, and what served them goes. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const index of [0, 1]) await this.#endServers(index);
    this.volumes[Symbol.dispose]();
    await this.pool[Symbol.asyncDispose]();
  }

  async #endServers(index: number): Promise<void> {
    for (const pid of this.#serversOn(index)) process.kill(pid, 'SIGKILL');
    const none = (): true | undefined => (this.#serversOn(index).length === 0 ? true : undefined);
    await Deadline.after(ENDING_MS).until(none, 'NBD servers to end');
  }

  #serversOn(index: number): readonly number[] {
    const folder = join(this.pool.root(index), 'var/run/rbdsr/nbd');
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return names.filter((name) => name.endsWith('.lock')).flatMap((name) => lockHolder(join(folder, name))?.pid ?? []);
  }
}

const ENDING_MS = 20_000;
