import { setTimeout as sleep } from 'node:timers/promises';
import { RbdsrError } from '../base/error.ts';
import type { SrUuid } from '../base/ids.ts';
import type { HostPaths } from '../dom0/host-profile.ts';
import { IpcFlags } from '../lvhd/ipc-flags.ts';
import { collectorAtWork } from './work/collector-lock.ts';
import type { SrWork } from './work/work.ts';

/** A collector looks before each block that it copies, and while it waits for the lock of the SR. */
const LOOK_MS = 200;
/** A call to another host that it has under way has its own end before that. */
const END_MS = 25_000;

/** Of a command. */
interface Ending extends Pick<SrWork, 'deadline' | 'waiting'> {
  readonly profile: { readonly paths: Pick<HostPaths, 'runDir' | 'smRunDir'> };
}

/**
 * Has the collector of the SR on this host end, by stock's flag, which an operator's `cleanup.py --abort` sets, too.
 * What it has begun the next one goes on with. 'lock-busy' where it does not end: it may still write.
 */
export async function endCollector(work: Ending, sr: SrUuid): Promise<void> {
  const { paths } = work.profile;
  if (collectorAtWork(paths, sr) === undefined) return;
  const flags = new IpcFlags(sr, `${paths.smRunDir}/ipc`);
  const isOurs = flags.set('abort');
  const until = work.deadline.within(END_MS);
  try {
    for (let holder = collectorAtWork(paths, sr); holder !== undefined; holder = collectorAtWork(paths, sr)) {
      work.waiting(`the collector of SR ${sr} to end (${holder.description})`);
      if (until.leftMs <= LOOK_MS) {
        throw new RbdsrError('lock-busy', {
          what: `the collector of SR ${sr} does not end, and may still write to it`,
          found: holder.description,
          todo: 'Try again when that process has ended.',
        });
      }
      await sleep(LOOK_MS);
    }
  } finally {
    if (isOurs) flags.clear('abort');
  }
}
