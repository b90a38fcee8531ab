import type { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';
import { isUuid, vdiUuid } from '../base/ids.ts';
import type { SrUuid } from '../base/ids.ts';
import { faultPoint } from '../system/fault-point.ts';
import type { DataPath, Disk, DiskId, DiskStatus } from './datapath.ts';
import type { DataPathHost } from './datapath-host.ts';
import { ensureLink, ensureNode, linksOf, linkTarget, nodeNumbers, removeLinks, removeServiceLinks } from './links.ts';
import type { DiskLinks } from './links.ts';
import { TapCtl } from './tap-ctl.ts';
import { launchTapdisk } from './tapdisk-launch.ts';
import type { Launched } from './tapdisk-launch.ts';
import { isPaused } from './tapdisk-list.ts';
import type { Tapdisk } from './tapdisk-list.ts';

/** XenServer's and XCP-ng's own way: one tapdisk per disk, told what to do by tap-ctl. */
export class TapdiskDataPath implements DataPath {
  readonly #host: DataPathHost;

  constructor(host: DataPathHost) {
    this.#host = host;
  }

  async activate(disk: Disk, deadline: Deadline): Promise<void> {
    const links = linksOf(this.#host, disk);
    const tapCtl = this.#tapCtl(deadline);
    const running = await this.#serving(tapCtl, links);
    if (running === undefined) await this.#removeStale(tapCtl, links);
    ensureLink(links.phy, disk.target);
    const request = { ...disk, path: links.phy, root: this.#host.paths.root };
    if (running !== undefined && running.kind !== disk.kind) throw otherKind(disk, running);
    const tapdisk = running ?? (await launchOrUnlink());
    faultPoint('tapdisk.opened');
    if (links.backend !== undefined) ensureNode(links.backend, this.#tapdev(tapdisk));
    if (links.nbd !== undefined) ensureLink(links.nbd, nbdSocket(this.#host, tapdisk.pid, tapdisk.minor));

    async function launchOrUnlink(): Promise<Launched> {
      try {
        return await launchTapdisk(tapCtl, request, deadline);
      } catch (error) {
        removeLinks(links);
        throw error;
      }
    }
  }

  /** Finishes a deactivation that was cut short too: then the tapdisk has no image any more and only the node tells its minor. */
  async deactivate(disk: DiskId, deadline: Deadline): Promise<void> {
    const links = linksOf(this.#host, disk);
    const tapCtl = this.#tapCtl(deadline);
    const running = await this.#serving(tapCtl, links);
    if (running !== undefined) {
      await tapCtl.close(running.pid, running.minor);
      faultPoint('tapdisk.closed');
    }
    await this.#release(tapCtl, running?.minor ?? minorOf(links), links);
    removeLinks(links);
  }

  async status(disk: DiskId, deadline: Deadline): Promise<DiskStatus | undefined> {
    const links = linksOf(this.#host, disk);
    const running = await this.#serving(this.#tapCtl(deadline), links);
    return running === undefined ? undefined : statusOf(disk, running, links);
  }

  async list(sr: SrUuid, deadline: Deadline): Promise<readonly DiskStatus[]> {
    const folder = `${this.#host.paths.devSmDir}/phy/${sr}/`;
    const found: DiskStatus[] = [];
    for (const running of (await this.#tapCtl(deadline).list()).map(whole)) {
      const name = running?.path.startsWith(folder) === true ? running.path.slice(folder.length) : '';
      if (running === undefined || !isUuid(name)) continue;
      const disk = { sr, vdi: vdiUuid(name) };
      found.push(statusOf(disk, running, linksOf(this.#host, disk)));
    }
    return found;
  }

  #tapCtl(deadline: Deadline): TapCtl {
    const { root } = this.#host.paths;
    const { closeTimeoutSeconds } = this.#host.datapath;
    const timeout = closeTimeoutSeconds === undefined ? {} : { closeTimeoutSeconds };
    return new TapCtl({ program: `${root}/usr/sbin/tap-ctl`, ...timeout, deadline });
  }

  async #serving(tapCtl: TapCtl, links: DiskLinks): Promise<Serving | undefined> {
    const found = (await tapCtl.list({ path: links.phy })).map(whole).filter((one) => one !== undefined);
    const [first, second] = found;
    if (second === undefined) return first;
    throw new RbdsrError('tapdisk-running', {
      what: `several tapdisks serve ${links.phy}`,
      expected: 'one',
      found: found.map(({ pid, minor }) => `pid ${pid} minor ${minor}`).join(', '),
    });
  }

  /** What a crash left: links whose tapdisk is gone or without an image. A node that leads to another disk's tapdisk stays and is refused. */
  async #removeStale(tapCtl: TapCtl, links: DiskLinks): Promise<void> {
    const minor = minorOf(links);
    if (minor === undefined) return;
    const [present] = await tapCtl.list({ minor });
    if (present?.image === undefined) await this.#release(tapCtl, minor, links);
  }

  /**
   * Detaches and frees the minor unless it serves an image: then it is another disk's, whatever our node says. The links go before the
   * minor does, so that none of them can ever lead to the next disk that gets it; a crash between the two costs a minor.
   */
  async #release(tapCtl: TapCtl, minor: number | undefined, links: DiskLinks): Promise<void> {
    const present = minor === undefined ? undefined : (await tapCtl.list({ minor }))[0];
    const ours = present?.image === undefined ? present : undefined;
    if (ours?.pid !== undefined && minor !== undefined) await tapCtl.detach(ours.pid, minor);
    faultPoint('tapdisk.detached');
    removeServiceLinks(links);
    faultPoint('tapdisk.unlinked');
    if (ours !== undefined && minor !== undefined) await tapCtl.free(minor);
  }

  /** The block device of a minor: its numbers are those of the node that blktap made. */
  #tapdev({ minor }: { readonly minor: number }): { major: number; minor: number } {
    const path = `${this.#host.paths.root}/dev/xen/blktap-2/tapdev${minor}`;
    const numbers = nodeNumbers(path);
    if (numbers !== undefined) return numbers;
    throw new RbdsrError('tapdisk-failed', { what: `the device ${path} of a running tapdisk is not there` });
  }
}

interface Serving {
  readonly pid: number;
  readonly minor: number;
  readonly kind: string;
  readonly path: string;
  readonly paused: boolean;
}

/** A tapdisk that serves an image. */
function whole(tapdisk: Tapdisk): Serving | undefined {
  const { pid, minor, image } = tapdisk;
  if (pid === undefined || minor === undefined || image === undefined) return undefined;
  return { pid, minor, ...image, paused: isPaused(tapdisk) };
}

function statusOf(disk: DiskId, { pid, paused }: Serving, { backend }: DiskLinks): DiskStatus {
  return { sr: disk.sr, vdi: disk.vdi, pid, paused, ...(backend === undefined ? {} : { device: backend }) };
}

function nbdSocket(host: DataPathHost, pid: number, minor: number): string {
  return `${host.paths.blktapControlDir}/nbd${pid}.${minor}`;
}

/** From the node, or where there are none from the NBD link's target. */
function minorOf(links: DiskLinks): number | undefined {
  if (links.backend !== undefined) return nodeNumbers(links.backend)?.minor;
  const minor = links.nbd === undefined ? undefined : /\/nbd[0-9]+\.([0-9]+)$/.exec(linkTarget(links.nbd) ?? '')?.[1];
  return minor === undefined ? undefined : Number(minor);
}

function otherKind(disk: Disk, running: Serving): RbdsrError {
  return new RbdsrError('tapdisk-running', {
    what: `a tapdisk (pid ${running.pid}) already serves VDI ${disk.vdi}`,
    expected: `as ${disk.kind}`,
    found: `as ${running.kind}:${running.path}`,
  });
}
