import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Deadline } from '../../../src/base/deadline.ts';
import { srUuid, vdiUuid } from '../../../src/base/ids.ts';
import type { Disk } from '../../../src/datapath/datapath.ts';
import type { DataPathHost } from '../../../src/datapath/datapath-host.ts';
import { NbdDataPath } from '../../../src/datapath/nbd/nbd-data-path.ts';
import { nbdFiles } from '../../../src/datapath/nbd/nbd-files.ts';
import { lockHolder } from '../../../src/system/locks/record-lock.ts';

export const SR = srUuid('11111111-2222-3333-4444-555555555555');
export const VDI = vdiUuid('aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee');
export const soon = (): Deadline => Deadline.after(20_000);

/**
 * A host without tapdisk, below a folder of its own on a file system that takes O_DIRECT; without kernel devices, which
 * only a dom0 has.
 */
export class NbdHost {
  readonly root = mkdtempSync('/var/tmp/rbdsr-datapath-');
  readonly host: DataPathHost = {
    datapath: { kind: 'nbd', kernelNodes: false, nbdLinks: true },
    paths: {
      root: this.root,
      devSmDir: `${this.root}/dev/sm`,
      blktapControlDir: `${this.root}/ctl`,
      runDir: `${this.root}/run`,
    },
  };
  readonly dataPath: NbdDataPath;

  constructor(server: readonly string[]) {
    this.dataPath = new NbdDataPath(this.host, { server });
  }

  get socket(): string {
    return nbdFiles(this.host, VDI).socket;
  }

  get uri(): string {
    return `nbd+unix:///${VDI}?socket=${this.socket}`;
  }

  async activate(target: string, more: Partial<Disk> = {}): Promise<number> {
    const disk: Disk = { sr: SR, vdi: VDI, kind: 'vhd', target, writable: true, parents: [], ...more };
    await this.dataPath.activate(disk, soon());
    return (await this.dataPath.status(disk, soon()))?.pid ?? 0;
  }

  async deactivate(): Promise<void> {
    await this.dataPath.deactivate({ sr: SR, vdi: VDI }, soon());
  }

  path(name: string): string {
    return join(this.root, name);
  }

  /** As the kernel's out-of-memory killer does; returns once it is dead. */
  async kill(pid: number): Promise<void> {
    const files = (await this.dataPath.list(SR, soon())).filter((one) => one.pid === pid);
    process.kill(pid, 'SIGKILL');
    for (const { vdi } of files) {
      while (lockHolder(nbdFiles(this.host, vdi).lock) !== undefined)
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async remove(): Promise<void> {
    for (const disk of await this.dataPath.list(SR, soon())) await this.dataPath.deactivate(disk, soon());
    rmSync(this.root, { recursive: true, force: true });
  }
}
