import { setTimeout as pause } from 'node:timers/promises';
import type { BlockIo } from '../base/block-io.ts';
import { Deadline } from '../base/deadline.ts';
import { hasCode, RbdsrError } from '../base/error.ts';
import { settled } from '../base/settle.ts';
import type { VdiUuid } from '../base/ids.ts';
import { volumesByExtents } from '../lvhd/extent-open.ts';
import { listJournals } from '../lvhd/journal/journal.ts';
import { readVdiNodes } from '../lvhd/lv-table.ts';
import type { Lvm } from '../lvm/lvm.ts';
import type { LvReport } from '../lvm/report.ts';
import type { AttachedSr } from '../sr/attached-sr.ts';
import { othersRest } from '../sr/hosts/others-rest.ts';
import { PLUGIN } from '../sr/hosts/plugin-name.ts';
import { activeHosts } from '../sr/hosts/host-keys.ts';
import { endRelinking } from '../sr/hosts/relinking-keys.ts';
import { whyNotFolded } from '../sr/disk/not-folded.ts';
import { resumeLeftPaused } from '../sr/disk/paused.ts';
import { recordMerged } from '../sr/disk/record-merged.ts';
import { takeSnapshot } from '../sr/disk/take-snapshot.ts';
import { reportOf, withMetadata } from '../sr/read-sr.ts';
import { recoverIfMaster } from '../sr/recovered-sr.ts';
import { withSrLock } from '../sr/work/sr-lock.ts';
import { hostRefOf, srOf, srRefOf } from '../sr/work/subject.ts';
import type { SrWork } from '../sr/work/work.ts';
import type { OwnXapi } from '../xapi/client.ts';
import { isGone } from '../xapi/failure.ts';
import { callPlugin } from '../xapi/host.ts';
import { setMapKey } from '../xapi/map-keys.ts';
import { poolMaster } from '../xapi/pool.ts';
import { forgetVdi, vdiByUuid, vdiRecord, vdiSmConfig, vdisOfSr } from '../xapi/vdi.ts';
import { attachedWith } from './attached-with.ts';
import { Forest } from './forest.ts';
import { disksInUse, freeUnused, goOn, holdBack, holdUnused, letGo } from './leaves-in-use.ts';
import type { Pair } from './pair.ts';
import { releasedEverywhere } from './released-everywhere.ts';
import { isAbortAsked, RightToWrite } from './right-to-write.ts';
import type { StockLock } from './stock-lock.ts';
import type { CollectorWorld, FoundSr } from './world.ts';

/** HA waits for the lock of the SR: it is held for so long at most. */
const HELD_MS = 30_000;
/** How long others may have it, and come first. */
const WAIT_MS = 300_000;
const RETRY_MS = 300;
/** What looking whether this host may write may take. */
const LOOK_MS = 10_000;
/** What all hosts together may take to let a volume go: without the lock of the SR. */
const RELEASE_MS = 60_000;

/** A session with the local xapi for as long as the deadline lets it. */
export type Login = (deadline: Deadline) => Promise<OwnXapi>;

/** An attached SR of which this host is the master. Commands of LVM belong to the lock they are run under. */
export class SrWorld implements CollectorWorld {
  readonly progress: (done: number, all: number) => void;
  readonly canHoldBack: boolean;
  readonly #given: SrWork;
  readonly #login: Login;
  readonly #right: RightToWrite;
  /** Whether the SR lets leaves be merged. */
  readonly #folds: boolean;
  /** Of the lock that is held, or was. */
  #work: SrWork;
  #sr: AttachedSr;
  #hasResumed = false;
  /** Of the lock that is held. */
  #until: Deadline | undefined;
  /** What was done under a lock took longer than that was held: until this process ends, nobody else may begin. */
  #isLate = false;
  #stock: StockLock | undefined;

  constructor(
    given: SrWork,
    login: Login,
    { progress, folds }: { readonly progress: (done: number, all: number) => void; readonly folds: boolean },
  ) {
    this.#given = given;
    this.#folds = folds;
    this.#login = login;
    this.progress = progress;
    this.canHoldBack = given.profile.activatingKey;
    this.#work = given;
    this.#sr = attachedWith(given);
    this.#right = new RightToWrite((look) => this.#connected(Deadline.after(LOOK_MS), look), {
      isEnded: () => this.#isEnded(),
      own: () => this.#stock?.pid,
    });
  }

  get lvm(): Lvm {
    return this.#sr.lvm;
  }

  readonly openLv = (name: string, mode: 'read' | 'write', known?: LvReport): Promise<BlockIo> =>
    volumesByExtents(this.#sr).openLv(name, mode, known);

  /** From now on this host may write or nobody gets the lock here; never without stock's lock of a collector. */
  onlyWhile(lock: StockLock): void {
    this.#stock = lock;
  }

  readonly locked = async <T>(action: (found: FoundSr) => Promise<T>): Promise<T> => {
    const until = Deadline.after(WAIT_MS);
    for (;;) {
      const deadline = Deadline.after(HELD_MS);
      try {
        return await withSrLock(this.#given.profile.paths, srOf(this.#given), deadline, () =>
          this.#connected(deadline, async (work) => {
            this.#work = work;
            this.#sr = attachedWith(work);
            this.#until = deadline;
            await this.#mustBeOurs();
            return action(await this.#find());
          }),
        );
      } catch (error) {
        if (!hasCode(error, 'lock-busy') || until.leftMs <= RETRY_MS) throw error;
        // Whoever has the lock may wait for this collector to end.
        if (this.#isEnded()) throw error;
        await pause(RETRY_MS);
      } finally {
        this.#isLate ||= this.#until?.expired === true;
        this.#until = undefined;
      }
    }
  };

  readonly mayWrite = (node?: VdiUuid): Promise<boolean> => this.#right.isOurs(node);
  readonly holdBack = (disks: readonly VdiUuid[], waitedMs: number): Promise<boolean> =>
    holdBack(this.#work, this.#sr, disks, waitedMs);
  readonly goOn = (disks: readonly VdiUuid[]): Promise<void> => goOn(this.#work, this.#sr, disks);
  readonly letGo = (disks: readonly VdiUuid[]): Promise<void> => letGo(this.#work, disks);

  readonly holdLeaf = (leaf: VdiUuid): Promise<boolean> => holdUnused(this.#work, leaf);
  readonly letLeafGo = (leaf: VdiUuid): Promise<void> => freeUnused(this.#work, leaf);

  readonly isMaster = (): Promise<boolean> =>
    this.#connected(Deadline.after(LOOK_MS), async (work) => (await poolMaster(await work.xapi())) === hostRefOf(work));

  readonly othersRest = (node: VdiUuid): Promise<void> =>
    this.#connected(Deadline.after(LOOK_MS), (work) => othersRest(work, node));

  readonly releasedEverywhere = (node: VdiUuid): Promise<void> =>
    this.#connected(Deadline.after(RELEASE_MS), (work) => releasedEverywhere(work, node));

  /** HA waits for the lock of the SR meanwhile. */
  readonly releasedSoon = (node: VdiUuid): Promise<void> =>
    this.#connected(Deadline.after(LOOK_MS), (work) => releasedEverywhere(work, node));

  readonly makeBase = async (leaf: VdiUuid, { report, forest }: FoundSr): Promise<void> => {
    const xapi = await this.#work.xapi();
    const record = await vdiRecord(xapi, await vdiByUuid(xapi, leaf));
    const order = { record, as: 'snapshot', mode: 'internal' } as const;
    await takeSnapshot(this.#work, this.#sr, { report, tree: forest.links }, order);
  };

  readonly recordFolded = async ({ node, into }: Pair): Promise<void> => {
    if (into.kind === 'aio') await withMetadata(this.#sr, (mgt) => mgt.updateVdi(node.uuid, { vdiType: 'aio' }));
    await this.#withRecord(node.uuid, (ref) => recordMerged(this.#work, ref, into));
  };

  /** Every host that uses any disk of the SR: which hang on the node is not asked, and one that needs none says so. */
  readonly refreshBelow = async (node: VdiUuid): Promise<void> => {
    const xapi = await this.#work.xapi();
    const records = await vdisOfSr(xapi, srRefOf(this.#work));
    const hosts = new Set(records.flatMap(({ smConfig }) => activeHosts(smConfig)));
    const args = { sr_uuid: srOf(this.#work), vdi_uuid: node, host_ref: hostRefOf(this.#work) };
    for (const host of hosts) await callPlugin(xapi, host, PLUGIN, 'refresh', args);
  };

  readonly recordParent = async (disk: VdiUuid, parent: VdiUuid): Promise<void> => {
    await this.#withRecord(disk, async (ref) => {
      const xapi = await this.#work.xapi();
      if ((await vdiSmConfig(xapi, ref))['vhd-parent'] === parent) return;
      await setMapKey(xapi, 'VDI.sm_config', ref, 'vhd-parent', parent);
    });
  };

  readonly forgetMetadata = async (node: VdiUuid): Promise<void> => {
    await withMetadata(this.#sr, (mgt) => mgt.delete(node));
  };

  readonly forgetRecord = async (node: VdiUuid): Promise<void> => {
    await this.#withRecord(node, async (ref) => forgetVdi(await this.#work.xapi(), ref));
  };

  /** With sessions of its own, which end with it. */
  async #connected<T>(deadline: Deadline, action: (work: SrWork) => Promise<T>): Promise<T> {
    const opened: OwnXapi[] = [];
    const connect = async (until: Deadline): Promise<OwnXapi> => {
      const xapi = await this.#login(until);
      opened.push(xapi);
      return xapi;
    };
    try {
      const xapi = await connect(deadline);
      return await action({ ...this.#given, deadline, xapi: async () => xapi, connect });
    } finally {
      await settled(opened.map((xapi) => xapi.logout()));
    }
  }

  /** Every command of this host waits for a late writer, also those that an end of this collector calls on it for. */
  #isEnded(): boolean {
    if (this.#isLate || this.#until?.expired === true) return true;
    return this.#stock !== undefined && (!this.#stock.isHeld || isAbortAsked(this.#given));
  }

  async #mustBeOurs(): Promise<void> {
    if (this.#stock === undefined || (await this.#right.isOurs())) return;
    throw new RbdsrError('not-master', {
      what: `SR ${srOf(this.#given)} is not to be collected by this host any more`,
      expected: 'the master of the pool, with the SR plugged, and nobody who asks for an end',
      todo: 'The next collection goes on.',
    });
  }

  async #withRecord(vdi: VdiUuid, change: (ref: string) => Promise<void>): Promise<void> {
    try {
      await change(await vdiByUuid(await this.#work.xapi(), vdi));
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  async #find(): Promise<FoundSr> {
    const [sr, work] = [this.#sr, this.#work];
    const first = await reportOf(sr);
    const isOld = listJournals(first).length > 0 && (await recoverIfMaster(work, sr, first));
    const report = isOld ? await reportOf(sr) : first;
    const pv = await sr.openPv('read');
    try {
      const nodes = await readVdiNodes(report, pv);
      const records = await vdisOfSr(await work.xapi(), srRefOf(work));
      await endRelinking(work, records);
      // Once: a host that is silent would be waited for each time.
      if (!this.#hasResumed) await resumeLeftPaused(work, sr, records, report);
      this.#hasResumed = true;
      const notFolded = records.flatMap((record) => {
        const why = this.#folds ? whyNotFolded(record) : 'leaf-coalesce=false in SR.other_config';
        return why === undefined ? [] : [[record.uuid, why] as const];
      });
      const kept = records.flatMap(({ uuid, type }) => (type in KEPT ? [[uuid, KEPT[type] ?? ''] as const] : []));
      const forest = new Forest({
        nodes,
        journals: listJournals(report),
        activeOn: await disksInUse(work, records),
        kept: new Map(kept),
        notFolded: new Map(notFolded),
        freeBytes: report.freeBytes,
      });
      return { report, forest };
    } finally {
      await pv.close();
    }
  }
}

/** Types of disks that HA writes to at any moment, without asking anybody. */
const KEPT: Readonly<Record<string, string>> = {
  ha_statefile: "it is HA's state file",
  redo_log: "it is HA's redo log",
};
