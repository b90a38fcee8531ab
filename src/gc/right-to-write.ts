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

/** A look is believed for so long. */
const LOOK_MS = 2000;

/**
 * Whether this host may still write: a host that was frozen, and has lost its place meanwhile, would write into extents
 * that are another disk's by now. It is the pool's master, has the SR plugged, and the journal of what it does is
 * there; no stock collector works on the SR, and nobody has asked for an end (sm `cleanup.py`, abort).
 */
export class RightToWrite {
  readonly #connected: Connected;
  #looked: Promise<boolean> | undefined;
  #lookedAt = 0;
  #lookedFor: VdiUuid | undefined;

  constructor(connected: Connected) {
    this.#connected = connected;
  }

  /** One look at a time, whoever asks. */
  async isOurs(node?: VdiUuid): Promise<boolean> {
    if (this.#looked === undefined || this.#lookedFor !== node || nowMs() - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = nowMs();
      this.#lookedFor = node;
      this.#looked = this.#connected((work) => look(work, node));
    }
    return this.#looked;
  }
}

async function look(work: SrWork, node: VdiUuid | undefined): Promise<boolean> {
  if (whoElseCollects(work) !== undefined) return false;
  const xapi = await work.xapi();
  if ((await poolMaster(xapi)) !== hostRefOf(work)) return false;
  const pbd = await pbdOf(xapi, srRefOf(work), hostRefOf(work));
  if (pbd?.currentlyAttached !== true) return false;
  if (node === undefined) return true;
  const report = await attachedWith(work).lvm.report();
  return report !== undefined && listJournals(report).some(({ type, id }) => type === 'coalesce' && id === node);
}

/** A stock collector at work on this host, or one that wants everybody to stop; in words. */
export function whoElseCollects(work: SrWork): string | undefined {
  const { root, lockDir } = work.profile.paths;
  const sr = srOf(work);
  const holder = ['gc_active', 'running'].map((name) => lockHolder(`${lockDir}/${sr}/${name}`)).find((one) => one);
  if (holder !== undefined) return `${holder.description} collects it`;
  return new IpcFlags(sr, `${root}/var/run/sm/ipc`).isSet('abort') ? 'an abort of collecting is asked for' : undefined;
}
