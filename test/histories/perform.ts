import { mapOf, type Row, stringOf } from '../../lab/xapi-double/database.ts';
import { srScan } from '../../lab/xapi-double/sr-operations.ts';
import {
  vdiActivate,
  vdiAttach,
  vdiClone,
  vdiCreate,
  vdiDeactivate,
  vdiDestroy,
  vdiDetach,
  vdiResize,
  vdiSnapshot,
} from '../../lab/xapi-double/vdi-operations.ts';
import { vdiUuid } from '../../src/base/ids.ts';
import { MiB, SECTOR } from '../../src/base/units.ts';
import { Difference, differs } from './difference.ts';
import { Guest } from './guest.ts';
import type { Disk, Model, Unborn } from './model.ts';
import type { Operation } from './operation.ts';
import { writers } from './possible.ts';
import { bytesOf, Random } from './random.ts';
import type { TwoHosts } from './two-hosts.ts';

/** What histories have done so far. */
export class Counts {
  operations = 0;
  /** Processes that died at a fault point. */
  kills = 0;
  /** At which. */
  readonly killedAt = new Set<string>();
  /** Disks, byte for byte. */
  compared = 0;
}

/** As a process ends that is killed, seen from a shell. */
const KILLED = 137;
/** What a guest writes beside a collection. */
const BESIDE = 4;
const BESIDE_SECTORS = 128;

/** A pool, what it has to be, and the guests that use it. */
export class History {
  readonly hosts: TwoHosts;
  readonly model: Model;
  readonly counts: Counts;
  /** By disk and host. */
  readonly #guests = new Map<string, Guest>();

  constructor(hosts: TwoHosts, model: Model, counts: Counts) {
    this.hosts = hosts;
    this.model = model;
    this.counts = counts;
  }

  /** The operation, in the pool and in the model. The caller has seen that it is possible. */
  async perform(operation: Operation): Promise<void> {
    const { model } = this;
    const disk = model.disk(operation.disk);
    this.counts.operations += 1;
    switch (operation.verb) {
      case 'create':
        return this.#create(operation);
      case 'snapshot':
      case 'clone':
        return this.#copy(operation, existing(model.disk(operation.of)));
      case 'delete':
        return this.#delete(operation, existing(disk));
      case 'delete-base':
        return this.#deleteBase(existing(disk));
      case 'resize':
        return this.#resize(operation, existing(disk));
      case 'attach':
        return this.#attach(operation, existing(disk));
      case 'detach':
        return this.#detach(operation, existing(disk));
      case 'move':
        return this.#move(existing(disk));
      case 'write':
        return this.#write(operation, existing(disk));
      case 'scan':
        return this.#scan(operation);
      case 'replug':
        return this.hosts.replug(operation.host ?? 0);
      case 'reboot':
        return this.#reboot(operation.host ?? 0);
      case 'collect':
        return this.#collect(operation);
    }
  }

  /** Of a disk on a host. */
  guest(disk: Disk, host: number): Guest | undefined {
    return this.#guests.get(`${disk.name}@${host}`);
  }

  leave(): void {
    for (const guest of this.#guests.values()) guest.leave();
  }

  async #create(operation: Operation): Promise<void> {
    const { hosts, model } = this;
    const { srRef: sr, double } = hosts.pool;
    const name = operation.disk ?? '';
    const isRaw = operation.raw !== undefined;
    const more = isRaw ? { smConfig: { type: 'raw' } } : {};
    const virtualSize = (operation.mib ?? 1) * MiB;
    const made = await this.#orKilled(operation, () =>
      vdiCreate(double, { sr, virtualSize, nameLabel: name, ...more }),
    );
    if (made === undefined) {
      const rounded = Math.ceil(virtualSize / BLOCK) * BLOCK;
      model.unborn.push({ name, content: Buffer.alloc(rounded), isSnapshot: false });
      return;
    }
    const uuid = vdiUuid(stringOf(made, 'uuid'));
    // Nobody says what a raw disk holds at first, but at its ends.
    const content = isRaw ? await (await hosts.sight()).read(uuid) : Buffer.alloc(Number(made.fields['virtual_size']));
    model.add({ name, uuid, content, isRaw, isSnapshot: false });
  }

  async #copy(operation: Operation, source: Disk): Promise<void> {
    const { hosts, model } = this;
    const { double } = hosts.pool;
    await this.#flush(source);
    const isSnapshot = operation.verb === 'snapshot';
    const copy: Unborn = { name: operation.disk ?? '', content: Buffer.from(source.content), isSnapshot };
    const { ref } = this.#row(source);
    const take = (): Promise<Row> => (isSnapshot ? vdiSnapshot(double, ref) : vdiClone(double, ref));
    const made = await this.#orKilled(operation, take);
    if (made === undefined) {
      model.unborn.push(copy);
      source.fate = 'asked';
    } else model.add({ ...copy, uuid: vdiUuid(stringOf(made, 'uuid')), isRaw: false });
  }

  async #delete(operation: Operation, disk: Disk): Promise<void> {
    const { hosts, model } = this;
    const row = hosts.record(disk.uuid);
    if (row === undefined) {
      // A command since it was cut short has gone on with it.
      if (disk.fate !== 'goes') throw new Difference(`xapi does not know disk ${disk.name} any more`);
      model.disks.delete(disk.name);
      return;
    }
    const gone = await this.#orKilled(operation, async () => {
      await vdiDestroy(hosts.pool.double, row.ref);
      return true;
    });
    if (gone === undefined) disk.fate = 'goes';
    else model.disks.delete(disk.name);
  }

  /** Of what the disk hangs on: it is refused. */
  async #deleteBase(disk: Disk): Promise<void> {
    const { hosts } = this;
    const base = hosts.record(mapOf(this.#row(disk), 'sm_config')['vhd-parent'] ?? '');
    if (base === undefined) return;
    const before = (await hosts.sight()).report.lvs.map(({ name }) => name);
    const isRefused = await hosts
      .started(() => vdiDestroy(hosts.pool.double, base.ref))
      .then(
        () => false,
        () => true,
      );
    const after = (await hosts.sight()).report.lvs.map(({ name }) => name);
    if (!isRefused || after.join() !== before.join())
      throw new Difference(`the base of disk ${disk.name} was deleted, or something of it`);
  }

  async #resize(operation: Operation, disk: Disk): Promise<void> {
    const { hosts } = this;
    const bytes = (operation.mib ?? 0) * MiB;
    const done = await this.#orKilled(operation, () => vdiResize(hosts.pool.double, this.#row(disk).ref, bytes));
    if (done === undefined) {
      disk.fate = 'grows';
      disk.grownTo = bytes;
    } else {
      disk.fate = 'stays';
      await this.#grow(disk, Number(done.fields['virtual_size']));
    }
  }

  /** What a raw disk holds where it has grown nobody says. */
  async #grow(disk: Disk, bytes: number): Promise<void> {
    const before = disk.content.length;
    this.model.grow(disk, bytes);
    if (disk.isRaw) (await (await this.hosts.sight()).read(disk.uuid)).copy(disk.content, before, before);
  }

  async #attach(operation: Operation, disk: Disk): Promise<void> {
    const { hosts } = this;
    const { host = 0 } = operation;
    if (hosts.isHeldBack(disk.uuid) && disk.uses.size === 0) return;
    const writable = !disk.isSnapshot;
    const [double, ref] = [hosts.pool.double, this.#row(disk).ref];
    const done = await this.#orKilled(operation, async () => {
      await vdiAttach(double, hosts.hostRef(host), ref, { writable });
      await vdiActivate(double, hosts.hostRef(host), ref, { writable });
      return true;
    });
    disk.uses.set(host, done === undefined ? 'cut' : writable ? 'RW' : 'RO');
    if (done !== undefined) await this.#boot(disk, host);
  }

  async #detach(operation: Operation, disk: Disk): Promise<void> {
    const { hosts } = this;
    const { host = 0 } = operation;
    // It waits for what holds it back, which a command on the master ends.
    if (this.#isPaused(disk)) return;
    await this.#leave(disk, host);
    const [double, ref] = [hosts.pool.double, this.#row(disk).ref];
    const done = await this.#orKilled(operation, async () => {
      await vdiDeactivate(double, hosts.hostRef(host), ref);
      await vdiDetach(double, hosts.hostRef(host), ref);
      return true;
    });
    if (done === undefined) disk.uses.set(host, 'cut');
    else disk.uses.delete(host);
  }

  /** As a VM that migrates: the other host has the disk attached before this one lets it go. */
  async #move(disk: Disk): Promise<void> {
    const { hosts } = this;
    const [from = 0] = writers(disk);
    const to = 1 - from;
    if (hosts.isHeldBack(disk.uuid)) return;
    const [double, ref] = [hosts.pool.double, this.#row(disk).ref];
    await hosts.started(() => vdiAttach(double, hosts.hostRef(to), ref, { writable: true }));
    await this.#leave(disk, from);
    await hosts.started(() => vdiDeactivate(double, hosts.hostRef(from), ref));
    disk.uses.delete(from);
    await hosts.started(() => vdiActivate(double, hosts.hostRef(to), ref, { writable: true }));
    disk.uses.set(to, 'RW');
    await hosts.started(() => vdiDetach(double, hosts.hostRef(from), ref));
    await this.#boot(disk, to);
  }

  async #write(operation: Operation, disk: Disk): Promise<void> {
    const { at = 0, sectors = 0, seed = 0 } = operation;
    this.#put(disk, at, bytesOf(seed, sectors * SECTOR));
    if (!this.#isPaused(disk)) await this.#flush(disk);
  }

  async #scan(operation: Operation): Promise<void> {
    const { hosts, model, counts } = this;
    const { kills } = counts;
    const done = await this.#orKilled(operation, async () => {
      await srScan(hosts.pool.double, hosts.pool.srRef);
      return true;
    });
    if (done === undefined) return;
    await this.#settle();
    // A plug-in that dies of it keeps a disk from going on, until the next scan.
    if (counts.kills === kills) model.isUnsettled = false;
  }

  /** What was asked and not answered, or not flushed, may be lost: not while a guest waits, and all is flushed. */
  async #reboot(host: number): Promise<void> {
    const used = this.model.all().filter(({ uses }) => uses.has(host));
    if (used.some((disk) => this.guest(disk, host)?.waits === true)) return;
    for (const disk of used) if (!this.#isPaused(disk)) await this.guest(disk, host)?.flush();
    for (const disk of used) {
      this.guest(disk, host)?.leave();
      this.#guests.delete(`${disk.name}@${host}`);
      disk.uses.delete(host);
    }
    await this.hosts.reboot(host);
  }

  async #collect(operation: Operation): Promise<void> {
    const { hosts, model } = this;
    const { kill } = operation;
    const before = hosts.pool.double.runs.length;
    const running = hosts.command(['gc', hosts.srUuid], kill);
    await this.#writeBeside();
    const { code, output } = await running;
    // A plug-in of a host may have died instead of it.
    const killed = this.#killedSince(before) + Number(code === KILLED);
    const isHindered = model.isUnsettled || killed > 0 || model.known().length < model.disks.size;
    if (code !== 0 && !isHindered) throw new Difference(`rbdsr gc ends with ${code}:\n${output}`);
    if (killed > 0 && kill !== undefined) this.#isCut(kill, killed);
  }

  /** Guests go on while it collects. */
  async #writeBeside(): Promise<void> {
    for (let turn = 0; turn < BESIDE; turn += 1) {
      for (const disk of this.model.known().filter((one) => writers(one).length > 0)) {
        const random = new Random(this.counts.operations * 1000 + turn);
        const sectors = Math.min(BESIDE_SECTORS, disk.content.length / SECTOR);
        const at = random.below(disk.content.length / SECTOR - sectors + 1);
        this.#put(disk, at, bytesOf(random.below(1_000_000), sectors * SECTOR));
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  #put(disk: Disk, at: number, payload: Buffer): void {
    const [host = 0] = writers(disk);
    this.guest(disk, host)?.write(at, payload);
    payload.copy(disk.content, at * SECTOR);
  }

  async #flush(disk: Disk): Promise<void> {
    if (this.#isPaused(disk)) return;
    for (const host of disk.uses.keys()) await this.guest(disk, host)?.flush();
  }

  async #boot(disk: Disk, host: number): Promise<void> {
    const socket = this.hosts.socketOf(disk.uuid, host);
    this.#guests.set(`${disk.name}@${host}`, await Guest.boot(socket, disk.uuid, disk.name));
  }

  /** A guest that shuts down has flushed its disk. */
  async #leave(disk: Disk, host: number): Promise<void> {
    const guest = this.guest(disk, host);
    if (guest === undefined) return;
    await guest.flush();
    guest.leave();
    this.#guests.delete(`${disk.name}@${host}`);
  }

  #isPaused({ uuid }: Disk): boolean {
    const row = this.hosts.record(uuid);
    return row !== undefined && Object.hasOwn(mapOf(row, 'sm_config'), 'paused');
  }

  #row(disk: Disk): Row {
    const row = this.hosts.record(disk.uuid);
    if (row === undefined) throw new Difference(`xapi does not know disk ${disk.name} any more`);
    return row;
  }

  #isCut(kill: string, killed: number): void {
    this.counts.kills += killed;
    this.counts.killedAt.add(kill.replace(/:.*/, ''));
    this.model.isUnsettled = true;
    this.model.hasBeenCut = true;
  }

  /**
   * Undefined where it fails of a process that died at the fault point; the command itself may go on without it.
   * Whatever else fails is a difference.
   */
  async #orKilled<T>({ kill, verb }: Operation, call: () => Promise<T>): Promise<T | undefined> {
    const before = this.hosts.pool.double.runs.length;
    const outcome = await this.hosts.started(call, kill).then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    const killed = this.#killedSince(before);
    if (kill !== undefined && killed > 0) this.#isCut(kill, killed);
    if ('value' in outcome) return outcome.value;
    if (kill !== undefined && killed > 0) return undefined;
    throw new Difference(`${verb} fails: ${String(outcome.error)}`, { cause: outcome.error });
  }

  /** Drivers and plug-ins of hosts. */
  #killedSince(before: number): number {
    return this.hosts.pool.double.runs.slice(before).filter(({ code }) => code === KILLED).length;
  }

  /** After a scan xapi knows what has come of everything that was cut short. */
  async #settle(): Promise<void> {
    const { hosts, model } = this;
    for (const disk of model.all()) {
      const row = hosts.record(disk.uuid);
      if (disk.fate === 'goes') {
        differs(...(row === undefined ? [] : [`disk ${disk.name} was being deleted, and is still there after a scan`]));
        model.disks.delete(disk.name);
      } else if (row === undefined) throw new Difference(`xapi does not know disk ${disk.name} any more`);
      else if (disk.fate === 'grows') {
        const size = Number(row.fields['virtual_size']);
        if (size !== disk.content.length && size !== Math.ceil((disk.grownTo ?? 0) / BLOCK) * BLOCK)
          throw new Difference(`disk ${disk.name} was to grow to ${disk.grownTo} bytes, and has ${size}`);
        await this.#grow(disk, size);
      }
      disk.fate = 'stays';
    }
    const known = new Set<string>(model.all().map(({ uuid }) => uuid));
    const found = hosts.records().filter((row) => row.fields['managed'] === true && !known.has(stringOf(row, 'uuid')));
    const sight = await hosts.sight();
    for (const row of found) {
      const uuid = vdiUuid(stringOf(row, 'uuid'));
      const content = await sight.read(uuid);
      const at = model.unborn.findIndex((one) => one.content.equals(content));
      const [born] = at < 0 ? [] : model.unborn.splice(at, 1);
      if (born === undefined) throw new Difference(`disk ${uuid} is nothing that anybody made`);
      // What xapi would have written to its record it did not come to.
      model.add({ ...born, isSnapshot: row.fields['is_a_snapshot'] === true, uuid, isRaw: false });
    }
    model.unborn.length = 0;
  }
}

const BLOCK = 2 * MiB;

function existing(disk: Disk | undefined): Disk {
  if (disk === undefined) throw new Error('an operation without its disk');
  return disk;
}
