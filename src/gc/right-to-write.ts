import type { VdiUuid } from '../base/ids.ts';
import { nowMs } from '../base/now.ts';
import { IpcFlags } from '../lvhd/ipc-flags.ts';
import { listJournals } from '../lvhd/journal/journal.ts';
import { attachedWith } from './attached-with.ts';
import { hostRefOf, srOf, srRefOf } from '../sr/work/subject.ts';
import type { SrWork } from '../sr/work/work.ts';
import { lockHolder } from '../system/locks/record-lock.ts';
import { pbdOf } from '../xapi/pbd.ts';
import { poolMaster } from '../xapi/pool.ts';

/** Opens a connection to xapi for one look. */
type Connected = (look: (work: SrWork) => Promise<boolean>) => Promise<boolean>;

/** What is known on this host, and asked each time. */
interface Here {
  /** Somebody asks for an end. */
  readonly isEnded: () => boolean;
  /** The process that holds stock's lock for us. */
  readonly own: () => number | undefined;
}

/** A look is believed for so long. */
const LOOK_MS = 2000;

/**
 * Whether this host may still write: a host that was frozen, and has lost its place meanwhile, would write into extents
 * that are another disk's by now. It is the pool's master, has the SR plugged, and the journal of what it does is
 * there; no stock collector works on the SR, and nobody has asked for an end (sm `cleanup.py`, abort).
 */
export class RightToWrite {
  readonly #connected: Connected;
  readonly #here: Here;
  #looked: Promise<boolean> | undefined;
  #lookedAt = 0;
  #lookedFor: VdiUuid | undefined;

  constructor(connected: Connected, here: Here) {
    this.#connected = connected;
    this.#here = here;
  }

  /** One look at a time, whoever asks. */
  async isOurs(node?: VdiUuid): Promise<boolean> {
    if (this.#here.isEnded()) return false;
    if (this.#looked === undefined || this.#lookedFor !== node || nowMs() - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = nowMs();
      this.#lookedFor = node;
      this.#looked = this.#connected((work) => look(work, node, this.#here.own()));
    }
    return this.#looked;
  }
}

async function look(work: SrWork, node: VdiUuid | undefined, own: number | undefined): Promise<boolean> {
  if (whoElseCollects(work, own) !== undefined) return false;
  const xapi = await work.xapi();
  if ((await poolMaster(xapi)) !== hostRefOf(work)) return false;
  const pbd = await pbdOf(xapi, srRefOf(work), hostRefOf(work));
  if (pbd?.currentlyAttached !== true) return false;
  if (node === undefined) return true;
  const report = await attachedWith(work).lvm.report();
  return report !== undefined && listJournals(report).some(({ type, id }) => type === 'coalesce' && id === node);
}

/**
 * A stock collector at work on this host, or one that wants everybody to stop; in words. `own`: the process that holds
 * stock's lock for us.
 */
export function whoElseCollects(work: SrWork, own?: number): string | undefined {
  const { lockDir } = work.profile.paths;
  const sr = srOf(work);
  const holder = ['gc_active', 'running']
    .map((name) => lockHolder(`${lockDir}/${sr}/${name}`))
    .find((one) => one !== undefined && one.pid !== own);
  if (holder !== undefined) return `${holder.description} collects it`;
  return isAbortAsked(work) ? 'an abort of collecting is asked for' : undefined;
}

/** By stock's flag; that of a process which is gone asks for nothing, and is removed. */
export function isAbortAsked(work: SrWork): boolean {
  return new IpcFlags(srOf(work), `${work.profile.paths.smRunDir}/ipc`).isSetByLiving('abort');
}
