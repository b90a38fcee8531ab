import { setTimeout as sleep } from 'node:timers/promises';
import type { BlockIo } from '../base/block-io.ts';
import type { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';
import type { ErrorCode } from '../base/error.ts';
import { formatBytes, KiB, MiB } from '../base/units.ts';
import { openBlockIo } from '../system/io/block-device.ts';
import type { HeldLock } from '../system/locks/record-lock.ts';
import { type RunOutcome, succeeded } from '../system/run.ts';
import { lvmCommand } from './_command.ts';
import type { LvmCommandContext } from './_command.ts';
import { committedGroup, committedLv } from './committed-lv.ts';
import { committedNames } from './_committed-names.ts';
import { lvmFailure, missingLv, refuseWhenFull } from './_failures.ts';
import { lvNodeGone, lvNodePresent, openersOfLv } from './_nodes.ts';
import { dmDevices, hasDevice, leadsToExtents } from './_tables.ts';
import { dmName } from './dm-name.ts';
import { labelOf } from './_label.ts';
import { readLv, readReport } from './_read-report.ts';
import { lvNamed, type LvReport, type VgReport } from './report.ts';

export interface LvmOptions {
  /** The one device node LVM may see. */
  readonly device: string;
  readonly vg: string;
  /**
   * False: every verb that changes metadata is refused ('not-master'). Only the SR master's writing commands are
   * writable.
   */
  readonly writable: boolean;
  /** The host's lock around every LVM command (sm `lvutil.py`, `cmd_lvm`), or undefined where the host has none. */
  readonly serialise: (deadline: Deadline) => Promise<HeldLock> | undefined;
  /** `LVM_SYSTEM_DIR`: /etc/lvm/master on the SR master of XenServer 7 and later. */
  readonly systemDir?: string;
  /** Added to every command; tests pass `--driverloaded n`. */
  readonly extraArgs?: readonly string[];
  readonly deadline: Deadline;
  /** How the device is opened for a look at what a change did; unless given, by its path each time. */
  readonly openDevice?: () => Promise<BlockIo>;
}

/** How LVM exits where it does not know an option (lvm2 tools/errors.h, EINVALID_CMD_LINE). */
const INVALID_COMMAND_LINE = 3;
/** Stock tries a removal or a deactivation this often, one second apart: udev may hold a node for a moment. */
const ATTEMPTS = 10;

/**
 * One volume group on one device. Every verb is idempotent, and its outcome is looked at: what a report, the metadata
 * on the device, the label or device-mapper hold afterwards decides, for some versions refuse a change and exit 0, and
 * others exit 5 where nothing was to be done (docs/decisions/0009-one-pvs-report.md). Failures carry what LVM said;
 * 'sr-full', 'device-busy' and 'lvm-missing' come from that look, too.
 */
export class Lvm {
  readonly vg: string;
  readonly device: string;
  readonly #options: LvmOptions;
  readonly #context: LvmCommandContext;
  readonly #openDevice: () => Promise<BlockIo>;

  constructor(options: LvmOptions) {
    this.#options = options;
    this.vg = options.vg;
    this.device = options.device;
    this.#context = { ...options, extraArgs: options.extraArgs ?? [], systemDir: options.systemDir };
    this.#openDevice = options.openDevice ?? (() => openBlockIo(options.device, 'read'));
  }

  /** The same for undoing what went wrong (Deadline.forCleanUp). */
  forCleanUp(): Lvm {
    return new Lvm({ ...this.#options, deadline: this.#options.deadline.forCleanUp() });
  }

  /** The same for a command that has the device open already. */
  lookingThrough(openDevice: () => Promise<BlockIo>): Lvm {
    return new Lvm({ ...this.#options, openDevice });
  }

  /** One command; a second only where an LV has no physical extents. undefined where the device holds no such VG. */
  async report(): Promise<VgReport | undefined> {
    return readReport(this.#context, this.vg);
  }

  /**
   * The same without LVM: what the metadata on the device say, and which volumes device-mapper has here; it does not
   * know which are open. undefined unless they are whole, and this VG's: then LVM is to be asked.
   */
  async committedReport(): Promise<VgReport | undefined> {
    const report = await committedGroup(this.#openDevice);
    if (report?.name !== this.vg || report.partial) return undefined;
    const devices = dmDevices();
    const lvs = report.lvs.map((lv) => Object.assign(lv, { active: devices.has(dmName(this.vg, lv.name)) }));
    return { ...report, lvs };
  }

  /**
   * Makes the VG on the bare device: data aligned to `objectSizeBytes`, so that an extent is one RADOS object (or lies
   * in one) and a discard frees it; a metadata area of 10 MiB, as stock's; extents of 4 MiB. 'vg-create'.
   */
  async createVg(objectSizeBytes = 4 * MiB): Promise<void> {
    const layout = [
      '--dataalignment',
      `${objectSizeBytes / KiB}k`,
      '--metadatasize',
      '10m',
      '--physicalextentsize',
      '4m',
    ];
    const outcome = await this.#changing('vgcreate', [...layout, this.vg, this.device]);
    if (succeeded(outcome) && (await labelOf(this.device))?.vgName === this.vg) return;
    throw lvmFailure('vg-create', `volume group ${this.vg} cannot be made on ${this.device}`, outcome);
  }

  /** Removes the VG, which must hold no LV any more ('sr-not-empty'); its PV stays. Done where there is none. */
  async removeVg(): Promise<void> {
    const report = await this.report();
    if (report !== undefined && report.lvs.length > 0) {
      const names = report.lvs.map((lv) => lv.name).join(', ');
      throw new RbdsrError('sr-not-empty', { what: `volume group ${this.vg} still holds ${names}` });
    }
    if (report === undefined) return;
    const outcome = await this.#changing('vgremove', [this.vg]);
    if ((await labelOf(this.device))?.vgName === this.vg)
      throw lvmFailure('lvm-delete', `volume group ${this.vg} cannot be removed`, outcome);
  }

  /** Removes the label of a PV that is in no VG; any other stays. */
  async removePv(): Promise<void> {
    const label = await labelOf(this.device);
    if (label === undefined || label.vgName !== undefined || label.damage !== undefined) return;
    const outcome = await this.#changing('pvremove', [this.device]);
    if ((await labelOf(this.device)) === undefined) return;
    throw lvmFailure('lvm-delete', `the LVM label of ${this.device} cannot be removed`, outcome);
  }

  /**
   * Makes an inactive, unzeroed LV of `bytes`, rounded up to extents. With a report of `before` only this LV is looked
   * at then, in the metadata on the device or by LVM. 'sr-full' | 'lvm-create' (also when the name is taken).
   */
  async createLv(
    name: string,
    bytes: number,
    options: { readonly tag?: string; readonly before?: VgReport } = {},
  ): Promise<LvReport> {
    const { tag, before } = options;
    const args = ['-Zn', '-n', name, '-L', `${bytes}b`, ...(tag === undefined ? [] : ['--addtag', tag]), this.vg];
    let outcome = await this.#changing('lvcreate', ['-an', ...args]);
    // As 2.02.84 does.
    const becomesActive = isUnknownOption(outcome);
    if (becomesActive) outcome = await this.#changing('lvcreate', args);
    const isMade = (lv: LvReport): boolean => tag === undefined || lv.tags.includes(tag);
    const { lv, report } = await this.#sized(name, bytes, before);
    if (succeeded(outcome) && lv !== undefined && isMade(lv)) {
      if (becomesActive) await this.deactivate(name);
      return lv;
    }
    refuseWhenFull(report ?? (await this.report()), bytes, `a logical volume of ${formatBytes(bytes)}`);
    throw lvmFailure('lvm-create', `logical volume ${name} cannot be made`, outcome);
  }

  /** The LV, if it has that size now; with the report of the whole group where that was needed to say so. */
  async #sized(
    name: string,
    bytes: number,
    before: VgReport | undefined,
  ): Promise<{ readonly lv?: LvReport; readonly report?: VgReport | undefined }> {
    const alone = before === undefined ? undefined : await this.#alone(name, before);
    if (alone !== undefined && alone.sizeBytes === wholeExtents(before, bytes)) return { lv: alone };
    const report = await this.report();
    const lv = lvNamed(report, name);
    return lv !== undefined && lv.sizeBytes === wholeExtents(report, bytes) ? { lv, report } : { report };
  }

  async #alone(name: string, before: VgReport): Promise<LvReport | undefined> {
    return (await committedLv(this.#openDevice, before, name)) ?? readLv(this.#context, before, name);
  }

  /** Deactivates and removes the LV; one that is gone is a success. 'device-busy' names who holds it. */
  async removeLv(name: string): Promise<void> {
    await this.removeLvs([name]);
  }

  /** The same for several, one after the other: one look at the end shows that none is left. */
  async removeLvs(names: readonly string[]): Promise<void> {
    this.#requireWritable('lvremove');
    if (names.length === 0) return;
    const outcomes = new Map<string, RunOutcome>();
    for (const name of names) {
      const path = `${this.vg}/${name}`;
      const outcome = await this.#persistently('lvremove', ['-f', path], name, 'lvm-delete', 'removed', (lv) => !lv);
      if (outcome !== undefined) outcomes.set(name, outcome);
      await lvNodeGone(this.vg, name, this.#context.deadline);
    }
    if (outcomes.size === 0) return;
    const committed = await committedNames(this.#openDevice, this.vg);
    if (committed !== undefined && names.every((name) => !committed.has(name))) return;
    const report = await this.report();
    for (const [name, outcome] of outcomes) {
      if (lvNamed(report, name) === undefined) continue;
      throw lvmFailure('lvm-delete', `logical volume ${name} cannot be removed`, outcome);
    }
  }

  /** 'lvm-missing' where neither name exists. */
  async renameLv(from: string, to: string): Promise<void> {
    const outcome = await this.#changing('lvrename', [this.vg, from, to]);
    const committed = await committedNames(this.#openDevice, this.vg);
    if (succeeded(outcome) && committed?.has(to) === true && !committed.has(from)) return;
    const report = await this.report();
    const has = (name: string): boolean => lvNamed(report, name) !== undefined;
    if (has(to) && !has(from)) return;
    if (!has(from)) throw missingLv(this.vg, from);
    throw lvmFailure('lvm-create', `logical volume ${from} cannot be renamed to ${to}`, outcome);
  }

  /** To `bytes`, rounded up to extents; `before` as for createLv. 'sr-full' | 'lvm-resize'. */
  async growLv(name: string, bytes: number, before?: VgReport): Promise<LvReport> {
    const outcome = await this.#changing('lvresize', ['-f', '-L', `${bytes}b`, `${this.vg}/${name}`]);
    return this.#resized(name, bytes, outcome, before);
  }

  /**
   * To `bytes`, rounded up to extents; what lies beyond is lost without a question. LVM from 2.03.17 on first looks for
   * a file system that would be cut off, and refuses an LV that is not active, unless told not to (lvm2
   * `lib/metadata/lv_manip.c`, `--fs checksize`). Older ones, which every host has whose version is known, do not know
   * the option: it is for the second try. 'lvm-resize'.
   */
  async shrinkLv(name: string, bytes: number, before?: VgReport): Promise<LvReport> {
    const args = ['-f', '-L', `${bytes}b`, `${this.vg}/${name}`];
    let outcome = await this.#changing('lvresize', args);
    if (!succeeded(outcome)) {
      const again = await this.#changing('lvresize', ['--fs', 'ignore', ...args]);
      if (!isUnknownOption(again)) outcome = again;
    }
    return this.#resized(name, bytes, outcome, before);
  }

  async #resized(name: string, bytes: number, outcome: RunOutcome, before?: VgReport): Promise<LvReport> {
    const { lv: resized, report } = await this.#sized(name, bytes, before);
    if (resized !== undefined) return resized;
    const lv = lvNamed(report, name);
    if (lv === undefined) throw missingLv(this.vg, name);
    refuseWhenFull(report, bytes - lv.sizeBytes, `growing ${name} to ${formatBytes(bytes)}`);
    throw lvmFailure('lvm-resize', `logical volume ${name} cannot be resized to ${bytes} bytes`, outcome);
  }

  /** Activates and waits for `/dev/<vg>/<lv>`, whose path it returns. */
  async activate(name: string): Promise<string> {
    const outcome = await this.#locally(['-ay', `${this.vg}/${name}`]);
    if (!succeeded(outcome)) {
      const lv = await this.#lv(name);
      if (!lv.active) throw lvmFailure('lvm-activate', `logical volume ${name} cannot be activated`, outcome);
    }
    return lvNodePresent(this.vg, name, this.#context.deadline);
  }

  /**
   * The same where nobody on this host counted the LV as active: a device that is there all the same has the table of
   * an earlier time, which may lead to extents of other LVs by now. Where there is none, LVM makes its table from the
   * metadata of this moment.
   */
  async activateAfresh(name: string): Promise<string> {
    const wasThere = hasDevice(this.vg, name);
    const path = await this.activate(name);
    if (wasThere) await this.refresh(name);
    return path;
  }

  /**
   * The same for several in one command. Where it fails, each is activated alone: what LVM says then is about that one.
   */
  async activateAllAfresh(names: readonly string[]): Promise<void> {
    const wereThere = names.filter((name) => hasDevice(this.vg, name));
    const outcome = await this.#locally(['-ay', ...names.map((name) => `${this.vg}/${name}`)]);
    for (const name of names) {
      if (succeeded(outcome)) await lvNodePresent(this.vg, name, this.#context.deadline);
      else await this.activate(name);
    }
    for (const name of wereThere) await this.refresh(name);
  }

  /** 'device-busy' names who holds it. */
  async deactivate(name: string): Promise<void> {
    const path = `${this.vg}/${name}`;
    await this.#persistently(
      'lvchange',
      ['-an', path],
      name,
      'lvm-deactivate',
      'deactivated',
      (lv) => lv?.active !== true,
    );
    await lvNodeGone(this.vg, name, this.#context.deadline);
  }

  /**
   * Reloads the device-mapper table of an active LV from the metadata: after another host resized or relabelled it (sm
   * `on-slave`, action refresh); one that is not active has none. 'lvm-activate' where the table still leads elsewhere.
   */
  async refresh(name: string): Promise<void> {
    const outcome = await this.#locally(['--refresh', `${this.vg}/${name}`]);
    const lv = await this.#lv(name);
    if (!lv.active || (await leadsToExtents(this.#context, this.vg, lv))) return;
    throw lvmFailure('lvm-activate', `the device of logical volume ${name} cannot be refreshed`, outcome);
  }

  /** The same only where the table leads elsewhere: what a guest uses is not suspended for nothing. */
  async refreshStale(name: string): Promise<void> {
    const lv = await this.#lv(name);
    if (lv.active && !(await leadsToExtents(this.#context, this.vg, lv))) await this.refresh(name);
  }

  async setPermission(name: string, permission: 'r' | 'rw'): Promise<void> {
    const readOnly = permission === 'r';
    await this.#change(name, ['-p', permission], `made ${permission}`, (lv) => lv.readOnly === readOnly);
  }

  async addTag(name: string, tag: string): Promise<void> {
    await this.#change(name, ['--addtag', tag], 'tagged', (lv) => lv.tags.includes(tag));
  }

  async removeTag(name: string, tag: string): Promise<void> {
    await this.#change(name, ['--deltag', tag], 'untagged', (lv) => !lv.tags.includes(tag));
  }

  /** Lets the PV use all of a device that has grown since `before`; the report of after it. */
  async growPv(before: VgReport): Promise<VgReport> {
    const outcome = await this.#changing('pvresize', [this.device]);
    const report = await this.report();
    if (report !== undefined && report.sizeBytes > before.sizeBytes) return report;
    throw lvmFailure('lvm-resize', `the physical volume ${this.device} cannot be grown`, outcome);
  }

  async #changing(command: string, args: readonly string[]): Promise<RunOutcome> {
    this.#requireWritable(command);
    return lvmCommand(this.#context, command, args);
  }

  /**
   * LVM is told, too, but 2.03.16 does not heed `metadata_read_only`, and XenServer's builds not for `lvchange`, which
   * changes tags and permissions there.
   */
  #requireWritable(command: string): void {
    if (this.#context.writable) return;
    throw new RbdsrError('not-master', {
      what: `${command} on ${this.vg} would change LVM metadata, which only the SR master may do`,
    });
  }

  /**
   * `lvchange` that changes this host's devices and writes no metadata. Plain LVM 2.02.130 to .187 refuses it all the
   * same where they are read-only, as they are told first.
   */
  async #locally(args: readonly string[]): Promise<RunOutcome> {
    const outcome = await lvmCommand(this.#context, 'lvchange', args);
    if (succeeded(outcome) || this.#context.writable) return outcome;
    return lvmCommand({ ...this.#context, writable: true }, 'lvchange', args);
  }

  async #lv(name: string): Promise<LvReport> {
    const lv = lvNamed(await this.report(), name);
    if (lv === undefined) throw missingLv(this.vg, name);
    return lv;
  }

  async #change(name: string, change: readonly string[], verb: string, done: (lv: LvReport) => boolean): Promise<void> {
    const outcome = await this.#changing('lvchange', [...change, `${this.vg}/${name}`]);
    const committed = lvNamed(await committedGroup(this.#openDevice), name);
    if (committed !== undefined && done(committed)) return;
    if (done(await this.#lv(name))) return;
    throw lvmFailure('lvm-create', `logical volume ${name} cannot be ${verb}`, outcome);
  }

  /**
   * How LVM said that it succeeded; undefined where a look at the state has shown already that there is nothing to do.
   */
  async #persistently(
    command: 'lvchange' | 'lvremove',
    args: readonly string[],
    name: string,
    code: ErrorCode,
    verb: string,
    done: (lv: LvReport | undefined) => boolean,
  ): Promise<RunOutcome | undefined> {
    for (let attempt = 1; ; attempt += 1) {
      const outcome =
        command === 'lvchange' ? await this.#locally(args) : await lvmCommand(this.#context, command, args);
      if (succeeded(outcome)) return outcome;
      const lv = lvNamed(await this.report(), name);
      if (done(lv)) return undefined;
      const pointless = lv?.active !== true || attempt === ATTEMPTS || this.#context.deadline.leftMs < 2000;
      if (!pointless) {
        await sleep(1000);
        continue;
      }
      const openers = openersOfLv(this.vg, name);
      if (openers === undefined) throw lvmFailure(code, `logical volume ${name} cannot be ${verb}`, outcome);
      throw new RbdsrError('device-busy', {
        what: `logical volume ${name} cannot be ${verb}: it is in use`,
        found: openers,
      });
    }
  }
}

function isUnknownOption({ end }: RunOutcome): boolean {
  return end.kind === 'exit' && end.code === INVALID_COMMAND_LINE;
}

/** `bytes` as LVM makes them, rounded up. */
function wholeExtents(report: VgReport | undefined, bytes: number): number | undefined {
  return report === undefined ? undefined : Math.ceil(bytes / report.extentSizeBytes) * report.extentSizeBytes;
}
