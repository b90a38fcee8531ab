import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { Deadline } from '../src/base/deadline.ts';
import { srUuid, vdiUuid } from '../src/base/ids.ts';
import { MiB } from '../src/base/units.ts';
import type { Disk } from '../src/datapath/datapath.ts';
import { NbdDataPath } from '../src/datapath/nbd/nbd-data-path.ts';
import { nbdFiles } from '../src/datapath/nbd/nbd-files.ts';
import { openBlockIo } from '../src/system/io/block-device.ts';
import { runChecked } from '../src/system/run.ts';
import { createVhd } from '../src/vhd/image/create.ts';

const soon = (): Deadline => Deadline.after(60_000);

/** A VHD as LVHD makes it, every block allocated, in a file that takes O_DIRECT; served by the program that ships. */
export class ServedVhd {
  readonly folder: string;
  readonly path: string;
  readonly uri: string;
  readonly #disk: Disk;
  readonly #dataPath: NbdDataPath;

  private constructor(folder: string) {
    const host = {
      datapath: { kind: 'nbd', kernelNodes: false, nbdLinks: true },
      paths: { root: folder, devSmDir: `${folder}/dev/sm`, blktapControlDir: `${folder}/ctl`, runDir: `${folder}/run` },
    } as const;
    const vdi = vdiUuid(randomUUID());
    this.folder = folder;
    this.path = `${folder}/disk.vhd`;
    this.uri = `nbd+unix:///${vdi}?socket=${nbdFiles(host, vdi).socket}`;
    this.#disk = { sr: srUuid(randomUUID()), vdi, kind: 'vhd', target: this.path, writable: true, parents: [] };
    this.#dataPath = new NbdDataPath(host, { server: [process.execPath, `${folder}/product/nbd.cjs`] });
  }

  static async create(bytes: number): Promise<ServedVhd> {
    const vhd = new ServedVhd(mkdtempSync('/var/tmp/rbdsr-bench-nbd-'));
    try {
      await vhd.#make(bytes);
      return vhd;
    } catch (error) {
      await vhd.remove();
      throw error;
    }
  }

  async #make(bytes: number): Promise<void> {
    execFileSync(process.execPath, ['scripts/build.mjs', `${this.folder}/product`], { stdio: 'pipe' });
    writeFileSync(this.path, '');
    truncateSync(this.path, bytes + 32 * MiB);
    const io = await openBlockIo(this.path, 'write');
    await createVhd(io, { virtualSizeBytes: bytes, uuid: randomUUID(), timestamp: new Date() });
    await io.close();
    await this.start();
    const fill = ['bench', '-f', 'raw', '-w', '-s', String(MiB), '-c', String(bytes / MiB), '-d', '4', this.uri];
    await runChecked('qemu-img', [...fill, '--pattern=165'], { deadline: Deadline.after(300_000) });
    await this.stop();
  }

  async start(): Promise<number> {
    await this.#dataPath.activate(this.#disk, soon());
    return (await this.#dataPath.status(this.#disk, soon()))?.pid ?? 0;
  }

  async stop(): Promise<void> {
    await this.#dataPath.deactivate(this.#disk, soon());
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
