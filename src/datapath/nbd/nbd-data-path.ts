import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError, hasCode } from '../../base/error.ts';
import { isUuid, vdiUuid } from '../../base/ids.ts';
import type { SrUuid } from '../../base/ids.ts';
import { namesIn } from '../../system/files.ts';
import { lockHolder } from '../../system/locks/record-lock.ts';
import type { DataPath, Disk, DiskId, DiskStatus } from '../datapath.ts';
import type { DataPathHost } from '../datapath-host.ts';
import { ensureLink, ensureNode, linksOf, removeLinks, removeServiceLinks } from '../links.ts';
import type { DiskLinks } from '../links.ts';
import { nbdFiles, readNbdState, removeNbdFiles } from './nbd-files.ts';
import type { NbdFiles, NbdState } from './nbd-files.ts';
import { tellServer } from './nbd-control.ts';
import { hasLoss, hasUntoldLoss, tellOutcome } from './nbd-outcome.ts';
import { adopted, checkSame, settledState, stopServer } from './nbd-running.ts';
import { startNbdProcess } from './nbd-start.ts';

/**
 * Where there is no tapdisk: one NBD server of ours per disk, which the kernel's NBD client makes a block device of.
 * The names are tapdisk's own, so that whatever uses a disk finds it in the same place.
 */
export class NbdDataPath implements DataPath {
  readonly #host: DataPathHost;
  readonly #server: readonly string[];

  constructor(host: DataPathHost, options: { readonly server: readonly string[] }) {
    this.#host = host;
    this.#server = options.server;
  }

  async activate(disk: Disk, deadline: Deadline): Promise<void> {
    const links = linksOf(this.#host, disk);
    const files = nbdFiles(this.#host, disk.vdi);
    const running = await settledState(files, deadline);
    if (running === undefined) {
      // Whatever a killed server left leads nowhere, or by now to another disk.
      removeServiceLinks(links);
    } else {
      checkSame(disk, running);
    }
    ensureLink(links.phy, disk.target);
    const state = running ?? (await this.#startOrUndo(disk, files, links, deadline));
    if (links.backend !== undefined && state.device !== undefined) ensureNode(links.backend, state.device);
    if (links.nbd !== undefined) ensureLink(links.nbd, files.socket);
  }

  async deactivate(disk: DiskId, deadline: Deadline): Promise<void> {
    const files = nbdFiles(this.#host, disk.vdi);
    const running = await settledState(files, deadline);
    if (running !== undefined) await stopServer(running, files, deadline);
    removeLinks(linksOf(this.#host, disk));
    removeNbdFiles(files);
    reportLoss(disk, tellOutcome(files.outcome));
  }

  async pause(disk: DiskId, deadline: Deadline): Promise<boolean> {
    const files = nbdFiles(this.#host, disk.vdi);
    const running = await settledState(files, deadline);
    if (running === undefined) return false;
    if (running.paused !== true) await tellServer(files.control, { verb: 'pause' }, deadline);
    return true;
  }

  async resume(disk: Disk, deadline: Deadline): Promise<void> {
    const files = nbdFiles(this.#host, disk.vdi);
    const running = await settledState(files, deadline);
    if (running?.paused !== true) return;
    const { sr, vdi, kind, target, writable, parents } = disk;
    ensureLink(linksOf(this.#host, disk).phy, target);
    await tellServer(files.control, { verb: 'resume', disk: { sr, vdi, kind, target, writable, parents } }, deadline);
  }

  async status(disk: DiskId, deadline: Deadline): Promise<DiskStatus | undefined> {
    const state = await settledState(nbdFiles(this.#host, disk.vdi), deadline);
    return state === undefined || state.sr !== disk.sr ? undefined : this.#statusOf(state);
  }

  mayHaveLost(disk: DiskId): boolean {
    return hasLoss(nbdFiles(this.#host, disk.vdi).outcome);
  }

  hasUntoldLoss(disk: DiskId): boolean {
    return hasUntoldLoss(nbdFiles(this.#host, disk.vdi).outcome);
  }

  async list(sr: SrUuid, deadline: Deadline): Promise<readonly DiskStatus[]> {
    const found: DiskStatus[] = [];
    for (const name of namesIn(`${this.#host.paths.runDir}/nbd`)) {
      const vdi = name.endsWith('.json') ? name.slice(0, -'.json'.length) : '';
      const status = isUuid(vdi) ? await this.status({ sr, vdi: vdiUuid(vdi) }, deadline) : undefined;
      if (status !== undefined) found.push(status);
    }
    return found;
  }

  async #startOrUndo(disk: Disk, files: NbdFiles, links: DiskLinks, deadline: Deadline): Promise<NbdState> {
    try {
      return await this.#start(disk, files, deadline);
    } catch (error) {
      if (hasCode(error, 'lock-busy')) return adopted(disk, files, deadline);
      if (lockHolder(files.lock) === undefined) removeLinks(links);
      throw error;
    }
  }

  async #start(disk: Disk, files: NbdFiles, deadline: Deadline): Promise<NbdState> {
    const { sr, vdi, kind, target, writable, parents } = disk;
    const served = { sr, vdi, kind, target, writable, parents };
    const kernelDevice = this.#host.datapath.kernelNodes;
    await startNbdProcess(this.#server, { disk: served, files, kernelDevice }, deadline);
    const state = readNbdState(files.state);
    if (state !== undefined) return state;
    throw new RbdsrError('tapdisk-failed', { what: `the NBD server of VDI ${vdi} ended as soon as it served` });
  }

  #statusOf(state: NbdState): DiskStatus {
    const { backend } = linksOf(this.#host, state);
    const device = state.device === undefined || backend === undefined ? {} : { device: backend };
    return { sr: state.sr, vdi: state.vdi, pid: state.pid, paused: state.paused === true, ...device };
  }
}

/** Told once, when nothing of the disk is in use any more: deactivating again releases it. */
function reportLoss({ vdi }: DiskId, why: string | undefined): void {
  if (why === undefined) return;
  throw new RbdsrError('io', {
    what: `the NBD server of VDI ${vdi} could not write everything that it held: data may be lost`,
    expected: 'every write that was answered, on the disk',
    found: why,
    todo: 'See the log for the cause, and check what is on the disk before it is used. Deactivating again releases it.',
    facts: { vdi },
  });
}
