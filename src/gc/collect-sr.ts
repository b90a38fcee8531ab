import { setTimeout as sleep } from 'node:timers/promises';
import { Deadline } from '../base/deadline.ts';
import { RbdsrError } from '../base/error.ts';
import type { SrUuid } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { thisHost } from '../dom0/this-host.ts';
import { forbidsFolding } from '../sr/disk/not-folded.ts';
import { becomeCollector, takeOrder } from '../sr/work/collector-lock.ts';
import { openWork } from '../sr/work/open-work.ts';
import { updateSrTotals } from '../sr/sr-totals.ts';
import type { SrWork } from '../sr/work/work.ts';
import { thisNode } from '../system/this-node.ts';
import { loginXapi, type OwnXapi } from '../xapi/client.ts';
import { hostByUuid } from '../xapi/host.ts';
import { poolMaster } from '../xapi/pool.ts';
import { srByUuid, srRecord } from '../xapi/sr.ts';
import { collect, type Collection, planNow } from './collect.ts';
import { whoElseCollects } from './right-to-write.ts';
import { StockLock } from './stock-lock.ts';
import { type Login, SrWorld } from './sr-world.ts';
import type { GcPlan } from './step.ts';

/** xapi's answers, before anything is begun. */
const ASK_MS = 30_000;
const ENDING_MS = 5000;
const RETRY_MS = 200;
/** A copy takes as long as it takes: locks and looks have deadlines of their own. */
const ENDLESS_MS = Number.MAX_SAFE_INTEGER;

/** Who follows a collection. */
export interface Following {
  readonly log: Log;
  readonly tells: (line: string) => void;
  readonly progress: (done: number, all: number) => void;
}

/** What there is to collect in an SR that is attached on this host, the pool's master. Changes nothing of disks. */
export async function planOfSr(root: string, uuid: SrUuid, following: Following): Promise<GcPlan> {
  return planNow((await openWorld(root, uuid, following)).world);
}

/**
 * Collects it, alone on this host. 'lock-busy' beside another collector; 'not-master', 'sr-unavailable';
 * 'config-invalid' where SR.other_config forbids it.
 */
export async function collectSr(root: string, uuid: SrUuid, following: Following): Promise<Collection> {
  const { world, work, login } = await openWorld(root, uuid, following);
  await using _alone = await becomeCollector(work.profile.paths, uuid, Deadline.after(ASK_MS));
  takeOrder(work.profile.paths, uuid);
  const other = await elsewhere(work);
  if (other !== undefined) throw new RbdsrError('lock-busy', { what: `SR ${uuid} is not collected`, found: other });
  const own = [...thisNode(), process.argv[1] ?? ''];
  await using stock = await StockLock.take(own, uuid, Deadline.after(ASK_MS));
  world.onlyWhile(stock);
  const collected = await collect(world, following.tells);
  const xapi = await login(Deadline.after(ASK_MS));
  try {
    await world.locked(({ report }) => updateSrTotals({ ...work, xapi: async () => xapi }, report));
  } finally {
    await xapi.logout();
  }
  return collected;
}

/** What held stock's lock for a collector of ours that was killed is about to end, too. */
async function elsewhere(work: SrWork): Promise<string | undefined> {
  const until = Deadline.after(ENDING_MS);
  for (;;) {
    const other = whoElseCollects(work);
    if (other === undefined || until.leftMs <= RETRY_MS) return other;
    await sleep(RETRY_MS);
  }
}

interface Opened {
  readonly world: SrWorld;
  readonly work: SrWork;
  readonly login: Login;
}

async function openWorld(root: string, uuid: SrUuid, { log, progress }: Following): Promise<Opened> {
  const { inventory, profile, settings } = thisHost(root);
  const login: Login = (deadline) => loginXapi({ socketPath: profile.paths.xapiSocket, deadline });
  const xapi = await login(Deadline.after(ASK_MS));
  try {
    const { folds, ...refs } = await refsOf(xapi, uuid, inventory.hostUuid);
    const subject = { srUuid: uuid, srMaster: true, ...refs };
    const deadline = Deadline.after(ENDLESS_MS);
    const { work } = openWork({ subject, title: 'gc', profile, settings, deadline, log, waiting: () => {} });
    return { world: new SrWorld(work, login, { progress, folds }), work, login };
  } finally {
    await xapi.logout();
  }
}

async function refsOf(
  xapi: OwnXapi,
  uuid: SrUuid,
  hostUuid: string,
): Promise<{ readonly srRef: string; readonly hostRef: string; readonly folds: boolean }> {
  const [srRef, hostRef] = [await srByUuid(xapi, uuid), await hostByUuid(xapi, hostUuid)];
  const { otherConfig } = await srRecord(xapi, srRef);
  for (const key of ['gc', 'coalesce']) {
    if (otherConfig[key] !== 'false') continue;
    throw new RbdsrError('config-invalid', {
      what: `SR ${uuid} is not to be collected`,
      found: `${key}=false in SR.other_config`,
      todo: `xe sr-param-remove uuid=${uuid} param-name=other-config param-key=${key}`,
    });
  }
  if ((await poolMaster(xapi)) === hostRef) return { srRef, hostRef, folds: !forbidsFolding(otherConfig) };
  throw new RbdsrError('not-master', { what: 'an SR is collected by the pool master', todo: 'Run this there.' });
}
