import { setPriority } from 'node:os';
import { hasCode, messageOf } from '../../base/error.ts';
import { srUuid } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import { thisHost } from '../../dom0/this-host.ts';
import { collectSr } from '../../gc/collect-sr.ts';
import { planInWords } from '../../gc/plan-in-words.ts';
import { isCollectionOrdered } from '../../sr/work/collector-lock.ts';
import { setProcessTitle } from '../../system/process-title.ts';
import { createSmLog } from '../../system/sm-log.ts';
import type { CliCall } from '../cli-call.ts';

/** Guests and commands come first. */
const NICE = 10;

/**
 * `rbdsr gc --by-itself`, as a command starts it that has left something to collect (sr/work/wake-collector.ts): what
 * it does is in SMlog. Where it is not to be done here, or is being done, it ends and says so there. What was ordered
 * while it was at work it does before it ends.
 */
export async function collectByItself({ root }: CliCall, sr: string): Promise<number> {
  const uuid = srUuid(sr);
  const { paths } = thisHost(root).profile;
  const log = createSmLog(paths.smLog, 'RBDSR gc', paths.noLogFlag);
  setProcessTitle(`rbdsr gc ${uuid}`);
  setPriority(NICE);
  try {
    do await collectOnce(root, uuid, log);
    while (isCollectionOrdered(paths, uuid));
    return 0;
  } catch (error) {
    if (hasCode(error, ...NOT_HERE)) {
      log.info(`SR ${uuid} is not collected: ${messageOf(error)}`);
      return 0;
    }
    log.error(`collecting SR ${uuid} failed: ${messageOf(error)}`);
    return 1;
  }
}

const NOT_HERE = ['lock-busy', 'not-master', 'config-invalid', 'sr-unavailable'] as const;

async function collectOnce(root: string, uuid: ReturnType<typeof srUuid>, log: Log): Promise<void> {
  let said = 0;
  const { done, failed, left } = await collectSr(root, uuid, {
    log,
    tells: (line) => {
      said = 0;
      log.info(`SR ${uuid}: ${line}`);
    },
    progress: (copied, all) => {
      const tenths = Math.floor((10 * copied) / all);
      if (tenths > said) log.info(`SR ${uuid}: ${copied} of ${all} blocks`);
      said = tenths;
    },
  });
  for (const line of failed) log.warn(`SR ${uuid}: not done, and tried again later: ${line}`);
  if (done.length + failed.length === 0) return;
  for (const line of planInWords(left)) log.info(`SR ${uuid}: stays: ${line}`);
}
