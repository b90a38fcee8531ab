import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { BlockIo } from '../../src/base/block-io.ts';
import { Deadline } from '../../src/base/deadline.ts';
import { MiB } from '../../src/base/units.ts';
import { srUuid } from '../../src/base/ids.ts';
import { vgName } from '../../src/lvhd/names.ts';
import type { OpenLv } from '../../src/lvhd/journal/journals.ts';
import { extentIo } from '../../src/lvm/extents.ts';
import { Lvm } from '../../src/lvm/lvm.ts';
import type { VgReport } from '../../src/lvm/report.ts';
import { openBlockIo } from '../../src/system/io/block-device.ts';
import { attachLoop } from './lvhd-loop.ts';

/** Whole SRs the stock storage manager left (test/fixtures/sr), and what their manifests say of them. */
export interface VectorState {
  readonly lvs: Readonly<
    Record<string, { readonly attr: string; readonly size: number; readonly tags: readonly string[] }>
  >;
  readonly vdis: Readonly<Record<string, VectorNode>>;
  readonly journals: Readonly<Record<string, string>>;
  readonly mgt: {
    readonly sr: Readonly<Record<string, string>>;
    readonly vdis: readonly Readonly<Record<string, string | number>>[];
  };
}
export interface VectorNode {
  readonly lv: string;
  readonly type: 'vhd' | 'raw';
  readonly lv_size: number;
  readonly lv_readonly: boolean;
  readonly hidden: boolean;
  readonly parent: string | null;
  readonly query?: readonly string[] | { readonly rc: number; readonly text: string };
  readonly check?: string;
  readonly sha256?: string;
}
export interface VectorImage {
  readonly file: string;
  readonly sr: string;
  readonly vdis: Readonly<Record<string, string>>;
  readonly content?: Readonly<Record<string, string>>;
  readonly content_before?: Readonly<Record<string, string>>;
  readonly state: VectorState;
  readonly recovered?: { readonly state: VectorState };
}

const FOLDER = `${import.meta.dirname}/../fixtures/sr`;

export function vectorImages(archive: string): Readonly<Record<string, VectorImage>> {
  return (JSON.parse(readFileSync(`${FOLDER}/${archive}.json`, 'utf8')) as { images: Record<string, VectorImage> })
    .images;
}

/** The archive's images, or those named, in a folder that goes when disposed. */
export function unpackVectors(
  archive: string,
  files: readonly string[] = [],
): Disposable & { readonly folder: string } {
  const folder = mkdtempSync(`${tmpdir()}/rbdsr-lvm-`);
  execFileSync('tar', ['-C', folder, '-xf', `${FOLDER}/${archive}.tar.xz`, ...files]);
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

export interface OpenSr extends AsyncDisposable {
  readonly lvm: Lvm;
  readonly pvIo: BlockIo;
  report(): Promise<VgReport>;
  /** Through the physical extents, as they are at the moment of the call. */
  readonly openLv: OpenLv;
}

/** One SR image on a loop device, with the real LVM; disposing detaches it. */
export async function openSr(file: string, sr: string): Promise<OpenSr> {
  const loop = attachLoop(file);
  try {
    const open = await openSrOn(loop.device, sr);
    return {
      ...open,
      [Symbol.asyncDispose]: async () => {
        await open[Symbol.asyncDispose]();
        loop[Symbol.dispose]();
      },
    };
  } catch (error) {
    loop[Symbol.dispose]();
    throw error;
  }
}

/** The SR on a device that stays attached. */
export async function openSrOn(device: string, sr: string): Promise<OpenSr> {
  const pvIo = await openBlockIo(device, 'write');
  const lvm = new Lvm({
    device,
    vg: vgName(srUuid(sr)),
    writable: true,
    serialise: () => undefined,
    extraArgs: ['--driverloaded', 'n'],
    deadline: Deadline.after(3_600_000),
  });
  const report = async (): Promise<VgReport> => {
    const found = await lvm.report();
    if (found === undefined) throw new Error(`no volume group on ${device}`);
    return found;
  };
  return {
    lvm,
    pvIo,
    report,
    openLv: async (name) => {
      const lv = (await report()).lvs.find((entry) => entry.name === name);
      if (lv === undefined) throw new Error(`no LV ${name} on ${device}`);
      return extentIo(pvIo, lv);
    },
    [Symbol.asyncDispose]: () => pvIo.close(),
  };
}

/** An opener over one report, for reading many LVs without asking LVM again. */
export function openFrom(report: VgReport, pvIo: BlockIo): OpenLv {
  return async (name) => {
    const lv = report.lvs.find((entry) => entry.name === name);
    if (lv === undefined) throw new Error(`no LV ${name}`);
    return extentIo(pvIo, lv);
  };
}

/** The sha256 of everything a device holds. */
export async function sha256Of(io: BlockIo): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < io.size; at += 4 * MiB) hash.update(await io.read(at, Math.min(4 * MiB, io.size - at)));
  return hash.digest('hex');
}
