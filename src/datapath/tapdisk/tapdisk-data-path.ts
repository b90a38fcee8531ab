import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import { isUuid, srUuid, vdiUuid } from '../../base/ids.ts';
import type { SrUuid } from '../../base/ids.ts';
import { lastStep, type Step, step } from '../../base/steps.ts';
import { runSteps } from '../../system/running-steps.ts';
import type { DataPath, Disk, DiskId, DiskStatus, DiskOfPath } from '../datapath.ts';
import type { DataPathHost } from '../datapath-host.ts';
import { ensureLink, ensureNode, linksOf, nodeNumbers, phyLinksOf, removeLinks } from '../links.ts';
import type { DeviceNumbers, DiskLinks } from '../links.ts';
import { TapCtl } from './tap-ctl.ts';
import { endTapdisk, removeStale } from './tapdisk-end.ts';
import { launchSteps, launchTapdisk } from './tapdisk-launch.ts';
import type { Launched } from './tapdisk-launch.ts';
import { isPaused } from './tapdisk-list.ts';
import type { Tapdisk } from './tapdisk-list.ts';
import { TapdiskNote } from './tapdisk-note.ts';
import { refuseUnheard } from './unheard-tapdisk.ts';

/**
 * XenServer's and XCP-ng's own way: one tapdisk per disk, told what to do by tap-ctl. A tapdisk is given the volume's
 * own path: blktap knows the device-mapper name behind that, and beside it those of the parents, but follows any other
 * link to a node that has no name (blktap `canonpath`).
 */
export class TapdiskDataPath implements DataPath {
  readonly #host: DataPathHost;
  readonly #diskOfPath: DiskOfPath;

  constructor(host: DataPathHost, diskOfPath: DiskOfPath) {
    this.#host = host;
    this.#diskOfPath = diskOfPath;
  }

  async activate(disk: Disk, deadline: Deadline): Promise<void> {
    const links = linksOf(this.#host, disk);
    const tapCtl = this.#tapCtl(deadline);
    const running = await this.#serving(tapCtl, disk, [disk.target, links.phy]);
    const note = this.#note(disk);
    await note.takeAway(tapCtl, links.phy);
    if (running === undefined) await removeStale(tapCtl, links);
    const naming: Naming = { host: this.#host, disk, links, tapdisk: running };
    await runSteps(linkSteps, naming);
    if (running !== undefined && running.kind !== disk.kind) throw otherKind(disk, running);
    const request = { ...disk, path: disk.target, root: this.#host.paths.root, note };
    naming.tapdisk ??= await launchOrUnlink();
    await runSteps(nameSteps, naming);

    async function launchOrUnlink(): Promise<Launched> {
      try {
        return await launchTapdisk(tapCtl, request, deadline);
      } catch (error) {
        removeLinks(links);
        throw error;
      }
    }
  }

  async deactivate(disk: DiskId, deadline: Deadline): Promise<void> {
    const tapCtl = this.#tapCtl(deadline);
    const links = linksOf(this.#host, disk);
    const running = await this.#serving(tapCtl, disk, [links.phy]);
    await endTapdisk({ tapCtl, links, note: this.#note(disk), running });
  }

  async pause(disk: DiskId, deadline: Deadline): Promise<boolean> {
    const tapCtl = this.#tapCtl(deadline);
    const running = await this.#serving(tapCtl, disk, [linksOf(this.#host, disk).phy]);
    if (running === undefined) return false;
    if (!running.paused) await tapCtl.pause(running.pid, running.minor);
    return true;
  }

  async resume(disk: Disk, deadline: Deadline): Promise<void> {
    const tapCtl = this.#tapCtl(deadline);
    const { phy } = linksOf(this.#host, disk);
    const running = await this.#serving(tapCtl, disk, [disk.target, phy]);
    if (running?.paused !== true) return;
    ensureLink(phy, disk.target);
    await tapCtl.unpause(running.pid, running.minor, { kind: disk.kind, path: disk.target });
  }

  async status(disk: DiskId, deadline: Deadline): Promise<DiskStatus | undefined> {
    const links = linksOf(this.#host, disk);
    const running = await this.#serving(this.#tapCtl(deadline), disk, [links.phy]);
    return running === undefined ? undefined : statusOf(disk, running, links);
  }

  /** Nothing is known of a tapdisk that is gone. */
  mayHaveLost(): boolean {
    return false;
  }

  hasUntoldLoss(): boolean {
    return false;
  }

  async list(sr: SrUuid, deadline: Deadline): Promise<readonly DiskStatus[]> {
    const inSr = (path: string): boolean => this.#diskOf(path)?.sr === sr;
    const { serving, withoutMinor } = await this.#tapCtl(deadline).serving(inSr);
    refuseUnheard(withoutMinor, phyLinksOf(this.#host, sr));
    const running = serving.map(whole).filter((one) => one !== undefined);
    return running.flatMap((one) => {
      const disk = this.#diskOf(one.path);
      return disk === undefined ? [] : [statusOf(disk, one, linksOf(this.#host, disk))];
    });
  }

  #note({ vdi }: DiskId): TapdiskNote {
    return new TapdiskNote(`${this.#host.paths.runDir}/tapdisk/${vdi}.json`);
  }

  #tapCtl(deadline: Deadline): TapCtl {
    const { root } = this.#host.paths;
    const { closeTimeoutSeconds } = this.#host.datapath;
    const timeout = closeTimeoutSeconds === undefined ? {} : { closeTimeoutSeconds };
    return new TapCtl({ program: `${root}/usr/sbin/tap-ctl`, ...timeout, deadline });
  }

  /** By every name that the disk has or had: a volume whose kind changes gets another one while its tapdisk runs. */
  async #serving(tapCtl: TapCtl, disk: DiskId, volumes: readonly string[]): Promise<Serving | undefined> {
    const isOurs = (path: string): boolean => sameDisk(this.#diskOf(path), disk);
    const { serving, withoutMinor } = await tapCtl.serving(isOurs);
    const found = serving.map(whole).filter((one) => one !== undefined);
    if (found.length === 0) refuseUnheard(withoutMinor, volumes);
    if (found.length <= 1) return found[0];
    throw new RbdsrError('tapdisk-running', {
      what: `several tapdisks serve VDI ${disk.vdi}`,
      expected: 'one',
      found: found.map(({ pid, minor, path }) => `pid ${pid} minor ${minor} (${path})`).join(', '),
    });
  }

  /** Tapdisks of RBDSR 0.1.0 were given the phy link, and outlive an update. */
  #diskOf(path: string): DiskId | undefined {
    const { root, devSmDir } = this.#host.paths;
    const [, sr = '', vdi = ''] = /^\/phy\/([^/]+)\/([^/]+)$/.exec(after(devSmDir, path)) ?? [];
    if (isUuid(sr) && isUuid(vdi)) return { sr: srUuid(sr), vdi: vdiUuid(vdi) };
    return this.#diskOfPath(path) ?? this.#diskOfPath(after(root, path));
  }
}

/** The naming of one disk that a tapdisk serves. */
interface Naming {
  readonly host: DataPathHost;
  readonly disk: Disk;
  readonly links: DiskLinks;
  /** Missing until there is one. */
  tapdisk: { readonly pid: number; readonly minor: number } | undefined;
}

const linkSteps: readonly Step<Naming>[] = [
  step('tapdisk.linked', ({ links, disk }) => ensureLink(links.phy, disk.target), {
    does: 'a link to the volume, for whoever looks for it',
    leaves: { id: 'tapdisk-linked', says: 'that link' },
    mendedBy: { by: ['vdi_activate', 'vdi_deactivate'], says: 'what mends the whole' },
  }),
];

const nameSteps: readonly Step<Naming>[] = [lastStep(nameService, 'the names that guests use: the node, the NBD link')];

/** All of them, in their order. */
export const tapdiskStartSteps = [...linkSteps, ...launchSteps, ...nameSteps];

function nameService({ host, links, tapdisk }: Naming): void {
  if (tapdisk === undefined) return;
  if (links.backend !== undefined) ensureNode(links.backend, tapdev(host, tapdisk.minor));
  if (links.nbd !== undefined) ensureLink(links.nbd, nbdSocket(host, tapdisk.pid, tapdisk.minor));
}

/** The block device of a minor: its numbers are those of the node that blktap made. */
function tapdev({ paths }: DataPathHost, minor: number): DeviceNumbers {
  const path = `${paths.root}/dev/xen/blktap-2/tapdev${minor}`;
  const numbers = nodeNumbers(path);
  if (numbers !== undefined) return numbers;
  throw new RbdsrError('tapdisk-failed', { what: `the device ${path} of a running tapdisk is not there` });
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

function sameDisk(one: DiskId | undefined, other: DiskId): boolean {
  return one?.sr === other.sr && one.vdi === other.vdi;
}

/** What follows `prefix` in `path`; '' where it does not begin so. */
function after(prefix: string, path: string): string {
  return path.startsWith(prefix) ? path.slice(prefix.length) : '';
}

function statusOf(disk: DiskId, { pid, paused }: Serving, { backend }: DiskLinks): DiskStatus {
  return { sr: disk.sr, vdi: disk.vdi, pid, paused, ...(backend === undefined ? {} : { device: backend }) };
}

function nbdSocket(host: DataPathHost, pid: number, minor: number): string {
  return `${host.paths.blktapControlDir}/nbd${pid}.${minor}`;
}

function otherKind(disk: Disk, running: Serving): RbdsrError {
  return new RbdsrError('tapdisk-running', {
    what: `a tapdisk (pid ${running.pid}) already serves VDI ${disk.vdi}`,
    expected: `as ${disk.kind}`,
    found: `as ${running.kind}:${running.path}`,
  });
}
