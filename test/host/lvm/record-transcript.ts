import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { REPORT_FIELDS } from '../../../src/lvm/report.ts';
import type { LoopDevice } from '../../support/lvhd-loop.ts';
import { diskIn, type LvmBuild, startLvm } from './disk-states.ts';
import { CONFIG, configOf, DEVICE, type Disk, FIELDS, SCRIPT, type ScriptedCall } from './transcript-script.ts';

/** One call as a version of LVM answered it. */
export interface RecordedCall {
  readonly disk: Disk;
  readonly access: ScriptedCall['access'];
  /** LVM's command and its arguments, without the configuration. */
  readonly argv: string;
  readonly exit: number;
  /** It wrote to the device. */
  readonly changed?: boolean | undefined;
  /** Where it led to. */
  readonly becomes?: Disk | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Transcript {
  readonly version: string;
  readonly calls: readonly RecordedCall[];
}

/**
 * Runs the script with a real LVM on loop devices. `image` is the stock SR's. What the files in test/fixtures/lvm hold
 * was made by this, on a host with device-mapper, with builds of LVM that are no part of this project; `helper`
 * prepares the device, `between` two of them the host.
 */
export function recordTranscript(
  build: LvmBuild,
  image: string,
  helper: LvmBuild,
  o: { readonly wanted?: (call: ScriptedCall) => boolean; readonly between?: () => void } = {},
): RecordedCall[] {
  const folder = mkdtempSync(`${tmpdir()}/rbdsr-lvm-`);
  let now: Disk | undefined;
  let loop: LoopDevice | undefined;
  try {
    return SCRIPT.filter(o.wanted ?? (() => true)).map((call) => {
      if (loop === undefined || now !== call.disk) {
        o.between?.();
        loop?.[Symbol.dispose]();
        loop = undefined;
        loop = diskIn(call.disk, `${folder}/disk`, image, helper);
        now = call.disk;
      }
      const { device } = loop;
      const before = headOf(device);
      const { status, stdout, stderr } = startLvm(build, call, device);
      const changed = !headOf(device).equals(before);
      const done = status === 0 && call.becomes !== undefined;
      now = done ? call.becomes : changed ? undefined : now;
      const clean = (text: string): string =>
        text
          .replaceAll(configOf(call, device), CONFIG[call.access])
          .replaceAll(REPORT_FIELDS.join(','), FIELDS)
          .replaceAll(device, DEVICE);
      return {
        disk: call.disk,
        access: call.access,
        argv: clean(call.argv.join(' ')),
        exit: status ?? -1,
        changed: changed || undefined,
        becomes: done ? call.becomes : undefined,
        stdout: clean(stdout),
        stderr: clean(stderr),
      };
    });
  } finally {
    loop?.[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The label and the header of the metadata, which names the text that counts. */
function headOf(device: string): Buffer {
  execFileSync('blockdev', ['--flushbufs', device]);
  const fd = openSync(device, 'r');
  const head = Buffer.alloc(8192);
  readSync(fd, head, 0, head.length, 0);
  closeSync(fd);
  return head;
}
