import { setTimeout as sleep } from 'node:timers/promises';
import type { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';
import type { ErrorCode } from '../base/error.ts';
import { formatBytes, KiB, MiB } from '../base/units.ts';
import type { HeldLock } from '../system/record-lock.ts';
import type { RunOutcome } from '../system/run.ts';
import { lvmCommand, succeeded } from './_command.ts';
import type { LvmCommandContext } from './_command.ts';
import { lvmFailure, missingLv, refuseWhenFull } from './_failures.ts';
import { lvNodeGone, lvNodePresent, openersOfLv } from './_nodes.ts';
import { readReport, reportRows } from './_read-report.ts';
import type { LvReport, VgReport } from './report.ts';

export interface LvmOptions {
  /** The one device node LVM may see. */
  readonly device: string;
  readonly vg: string;
  /** False: every verb that changes metadata is refused ('not-master'). Only the SR master's writing commands are writable. */
  readonly writable: boolean;
  /** The host's lock around every LVM command (sm `lvutil.py`, `cmd_lvm`), or undefined where the host has none. */
  readonly serialise: (deadline: Deadline) => Promise<HeldLock> | undefined;
  /** `LVM_SYSTEM_DIR`: /etc/lvm/master on the SR master of XenServer 7 and later. */
  readonly systemDir?: string;
  /** Added to every command; tests pass `--driverloaded n`. */
  readonly extraArgs?: readonly string[];
  readonly deadline: Deadline;
}

/** How LVM exits where it does not know an option (lvm2 tools/errors.h, EINVALID_CMD_LINE). */
const INVALID_COMMAND_LINE = 3;
/** Stock tries a removal or a deactivation this often, one second apart: udev may hold a node for a moment. */
const ATTEMPTS = 10;

/**
 * One volume group on one device. Every verb is idempotent: where LVM refuses, the state decides whether there was anything to do.
 * Failures carry what LVM said; 'sr-full', 'device-busy' and 'lvm-missing' come from a second look, not from LVM's words.
 */
export class Lvm {
  readonly vg: string;
  readonly device: string;
  readonly #options: LvmOptions;
  readonly #context: LvmCommandContext;

  constructor(options: LvmOptions) {
    this.#options = options;
    this.vg = options.vg;
    this.device = options.device;
    this.#context = { ...options, extraArgs: options.extraArgs ?? [], systemDir: options.systemDir };
  }

  /** The same for undoing what went wrong (Deadline.forCleanUp). */
  forCleanUp(): Lvm {
    return new Lvm({ ...this.#options, deadline: this.#options.deadline.forCleanUp() });
  }

  /** One command; a second only where an LV has no physical extents. undefined where the device holds no such VG. */
  async report(): Promise<VgReport | undefined> {
    return readReport(this.#context, this.vg);
  }

  /**
   * Makes the VG on the bare device: data aligned to `objectSizeBytes`, so that an extent is one RADOS object (or lies in one) and a
   * discard frees it; a metadata area of 10 MiB, as stock's; extents of 4 MiB. 'vg-create'.
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
    if (!succeeded(outcome))
      throw lvmFailure('vg-create', `volume group ${this.vg} cannot be made on ${this.device}`, outcome);
  }

  /** Removes the VG, which must hold no LV any more ('sr-not-empty'), and the PV label. */
  async removeVg(): Promise<void> {
    const report = await this.report();
    if (report !== undefined && report.lvs.length > 0) {
      const names = report.lvs.map((lv) => lv.name).join(', ');
      throw new RbdsrError('sr-not-empty', { what: `volume group ${this.vg} still holds ${names}` });
    }
    if (report !== undefined) {
      const outcome = await this.#changing('vgremove', [this.vg]);
      if (!succeeded(outcome)) throw lvmFailure('lvm-delete', `volume group ${this.vg} cannot be removed`, outcome);
    }
    const pvs = await reportRows(this.#context, 'pvs', ['pv_name', 'vg_name']);
    if (!pvs.some((pv) => pv.vg_name === '')) return;
    const outcome = await this.#changing('pvremove', [this.device]);
    if (!succeeded(outcome))
      throw lvmFailure('lvm-delete', `the LVM label of ${this.device} cannot be removed`, outcome);
  }

  /** Makes an inactive, unzeroed LV of `bytes`, rounded up to extents. 'sr-full' | 'lvm-create' (also when the name is taken). */
  async createLv(name: string, bytes: number, options: { readonly tag?: string } = {}): Promise<void> {
    const args = [
      '-Zn',
      '-n',
      name,
      '-L',
      `${bytes}b`,
      ...(options.tag === undefined ? [] : ['--addtag', options.tag]),
      this.vg,
    ];
    let outcome = await this.#changing('lvcreate', ['-an', ...args]);
    // As 2.02.84 does.
    if (isUnknownOption(outcome)) {
      outcome = await this.#changing('lvcreate', args);
      if (succeeded(outcome)) await this.deactivate(name);
    }
    if (succeeded(outcome)) return;
    refuseWhenFull(await this.report(), bytes, `a logical volume of ${formatBytes(bytes)}`);
    throw lvmFailure('lvm-create', `logical volume ${name} cannot be made`, outcome);
  }

  /** Deactivates and removes the LV; one that is gone is a success. 'device-busy' names who holds it. */
  async removeLv(name: string): Promise<void> {
    const path = `${this.vg}/${name}`;
    this.#requireWritable('lvremove');
    await this.#persistently('lvremove', ['-f', path], name, 'lvm-delete', 'removed', (lv) => lv === undefined);
    await lvNodeGone(this.vg, name, this.#context.deadline);
  }

  /** 'lvm-missing' where neither name exists. */
  async renameLv(from: string, to: string): Promise<void> {
    const outcome = await this.#changing('lvrename', [this.vg, from, to]);
    if (succeeded(outcome)) return;
    const report = await this.report();
    const has = (name: string): boolean => report?.lvs.some((lv) => lv.name === name) ?? false;
    if (has(to) && !has(from)) return;
    if (!has(from)) throw missingLv(this.vg, from);
    throw lvmFailure('lvm-create', `logical volume ${from} cannot be renamed to ${to}`, outcome);
  }

  /** To `bytes`, rounded up to extents. 'sr-full' | 'lvm-resize'. */
  async growLv(name: string, bytes: number): Promise<void> {
    const outcome = await this.#changing('lvresize', ['-f', '-L', `${bytes}b`, `${this.vg}/${name}`]);
    await this.#checkResized(name, bytes, outcome);
  }

  /**
   * To `bytes`, rounded up to extents; what lies beyond is lost without a question. LVM from 2.03.17 on first looks for a file system that
   * would be cut off, and refuses an LV that is not active, unless told not to (lvm2 `lib/metadata/lv_manip.c`, `--fs checksize`); older
   * ones do not know the option. 'lvm-resize'.
   */
  async shrinkLv(name: string, bytes: number): Promise<void> {
    const args = ['-f', '-L', `${bytes}b`, `${this.vg}/${name}`];
    let outcome = await this.#changing('lvresize', ['--fs', 'ignore', ...args]);
    if (isUnknownOption(outcome)) outcome = await this.#changing('lvresize', args);
    await this.#checkResized(name, bytes, outcome);
  }

  async #checkResized(name: string, bytes: number, outcome: RunOutcome): Promise<void> {
    if (succeeded(outcome)) return;
    const report = await this.report();
    const lv = report?.lvs.find((entry) => entry.name === name);
    if (report === undefined || lv === undefined) throw missingLv(this.vg, name);
    if (lv.sizeBytes === Math.ceil(bytes / report.extentSizeBytes) * report.extentSizeBytes) return;
    refuseWhenFull(report, bytes - lv.sizeBytes, `growing ${name} to ${formatBytes(bytes)}`);
    throw lvmFailure('lvm-resize', `logical volume ${name} cannot be resized to ${bytes} bytes`, outcome);
  }

  /** Activates and waits for `/dev/<vg>/<lv>`, whose path it returns. */
  async activate(name: string): Promise<string> {
    const outcome = await lvmCommand(this.#context, 'lvchange', ['-ay', `${this.vg}/${name}`]);
    if (!succeeded(outcome)) {
      const lv = await this.#lv(name);
      if (!lv.active) throw lvmFailure('lvm-activate', `logical volume ${name} cannot be activated`, outcome);
    }
    return lvNodePresent(this.vg, name, this.#context.deadline);
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
   * Reloads the device-mapper table of an active LV from the metadata: after another host resized or relabelled it. Writes no metadata, but
   * not every version does it where they are read-only (sm `on-slave`, action refresh).
   */
  async refresh(name: string): Promise<void> {
    const context = { ...this.#context, writable: true };
    const outcome = await lvmCommand(context, 'lvchange', ['--refresh', `${this.vg}/${name}`]);
    if (succeeded(outcome)) return;
    await this.#lv(name);
    throw lvmFailure('lvm-activate', `logical volume ${name} cannot be refreshed`, outcome);
  }

  async setPermission(name: string, permission: 'r' | 'rw'): Promise<void> {
    this.#requireWritable('lvchange');
    const readOnly = permission === 'r';
    await this.#change(
      name,
      ['-p', permission, `${this.vg}/${name}`],
      'lvm-create',
      `made ${permission}`,
      (lv) => lv.readOnly === readOnly,
    );
  }

  async addTag(name: string, tag: string): Promise<void> {
    this.#requireWritable('lvchange');
    await this.#change(name, ['--addtag', tag, `${this.vg}/${name}`], 'lvm-create', 'tagged', (lv) =>
      lv.tags.includes(tag),
    );
  }

  async removeTag(name: string, tag: string): Promise<void> {
    this.#requireWritable('lvchange');
    await this.#change(
      name,
      ['--deltag', tag, `${this.vg}/${name}`],
      'lvm-create',
      'untagged',
      (lv) => !lv.tags.includes(tag),
    );
  }

  /** Lets the PV use all of a device that has grown. */
  async growPv(): Promise<void> {
    const outcome = await this.#changing('pvresize', [this.device]);
    if (!succeeded(outcome))
      throw lvmFailure('lvm-resize', `the physical volume ${this.device} cannot be grown`, outcome);
  }

  async #changing(command: string, args: readonly string[]): Promise<RunOutcome> {
    this.#requireWritable(command);
    return lvmCommand(this.#context, command, args);
  }

  /** LVM is told, too, but 2.03.16 does not heed `metadata_read_only`. */
  #requireWritable(command: string): void {
    if (this.#context.writable) return;
    throw new RbdsrError('not-master', {
      what: `${command} on ${this.vg} would change LVM metadata, which only the SR master may do`,
    });
  }

  async #lv(name: string): Promise<LvReport> {
    const lv = (await this.report())?.lvs.find((entry) => entry.name === name);
    if (lv === undefined) throw missingLv(this.vg, name);
    return lv;
  }

  async #change(
    name: string,
    args: readonly string[],
    code: ErrorCode,
    verb: string,
    done: (lv: LvReport) => boolean,
  ): Promise<void> {
    const outcome = await lvmCommand(this.#context, 'lvchange', args);
    if (succeeded(outcome)) return;
    if (done(await this.#lv(name))) return;
    throw lvmFailure(code, `logical volume ${name} cannot be ${verb}`, outcome);
  }

  async #persistently(
    command: string,
    args: readonly string[],
    name: string,
    code: ErrorCode,
    verb: string,
    done: (lv: LvReport | undefined) => boolean,
  ): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await lvmCommand(this.#context, command, args);
      if (succeeded(outcome)) return;
      const lv = (await this.report())?.lvs.find((entry) => entry.name === name);
      if (done(lv)) return;
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
