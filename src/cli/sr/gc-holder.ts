import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Deadline } from '../../base/deadline.ts';
import { hasCode } from '../../base/error.ts';
import { srUuid } from '../../base/ids.ts';
import { thisHost } from '../../dom0/this-host.ts';
import { IpcFlags } from '../../lvhd/ipc-flags.ts';
import { ensureDir } from '../../system/files.ts';
import { takeRecordLock } from '../../system/locks/record-lock.ts';
import { setProcessTitle } from '../../system/process-title.ts';
import type { CliCall } from '../cli-call.ts';

/** HA waits for the lock when it asks for an end. */
const LOOK_MS = 200;
const LOCK_MS = 5000;

/**
 * `rbdsr gc --hold`, which a collector starts (gc/stock-lock.ts): holds stock's `gc_active` of the SR until its stdin
 * ends, as it does when the collector dies, or until an end of collecting is asked for. Says so when it has it; 1 where
 * another has it.
 */
export async function holdStockLock(call: CliCall, sr: string): Promise<number> {
  const uuid = srUuid(sr);
  const { paths } = thisHost(call.root).profile;
  const flags = new IpcFlags(uuid, `${paths.smRunDir}/ipc`);
  const path = `${paths.lockDir}/${uuid}/gc_active`;
  setProcessTitle(`rbdsr gc ${uuid}, lock gc_active`);
  ensureDir(dirname(path), 0o755);
  const left = new AbortController();
  const leave = (): void => left.abort();
  process.stdin.on('end', leave).on('error', leave).resume();
  try {
    await using _lock = await takeRecordLock(path, { wait: false, deadline: Deadline.after(LOCK_MS) });
    call.print('held\n');
    while (!left.signal.aborted && !flags.isSetByLiving('abort')) await pauseUnless(left.signal);
    return 0;
  } catch (error) {
    if (hasCode(error, 'lock-busy')) return 1;
    throw error;
  } finally {
    process.stdin.destroy();
  }
}

async function pauseUnless(signal: AbortSignal): Promise<void> {
  await sleep(LOOK_MS, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
