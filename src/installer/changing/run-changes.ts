import { rmdirSync } from 'node:fs';
import { Deadline } from '../../base/deadline.ts';
import { ensureDir, namesIn } from '../../system/files.ts';
import { type HeldLock, takeRecordLock } from '../../system/locks/record-lock.ts';
import type { Change } from './change.ts';
import { type Host, STATE_DIR } from '../host.ts';
import { bringStateOver } from '../state/former-state.ts';
import { isOrWasEnabled, type JournalContent, type ChangeEntry, type JournalHead } from './journal.ts';
import { refuseNewerState } from '../state/newer-state.ts';
import { freeRoom, reserveRoom } from '../state/room.ts';
import { clearStage } from './stage.ts';

const LOCK_MS = 60_000;
const SETTLE_MS = 60_000;

/**
 * One enable, disable or repair at a time. What the one before has done is in the journal from here on. 'lock-busy'
 * names who has it; 'config-invalid' where a newer RBDSR wrote the journal.
 */
export async function lockHost(host: Host): Promise<HeldLock> {
  const path = `${host.profile.paths.runDir}/host.lock`;
  const lock = await takeRecordLock(path, { wait: true, deadline: Deadline.after(LOCK_MS) });
  try {
    bringStateOver(host);
    host.journal.reload();
    refuseNewerState(host);
    return lock;
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Writes down what is going on; `lost`: with entries of a journal that was lost. */
export function begin(host: Host, state: JournalContent['state'], lost: readonly ChangeEntry[] = []): void {
  const wasEnabled = state === 'enabling' && isOrWasEnabled(host.journal.content);
  beginWith(
    host,
    {
      product: host.product,
      profile: host.profile.id,
      state,
      ...(wasEnabled ? { wasEnabled } : {}),
    },
    state === 'enabling' ? reserveRoom : freeRoom,
    lost,
  );
}

/** After the writes of this run were taken back: the journal says again what it said before it. */
export function goBackTo(host: Host, { product, profile, state, wasEnabled }: JournalContent): void {
  beginWith(host, { product, profile, state, ...(wasEnabled === undefined ? {} : { wasEnabled }) }, freeRoom);
}

function beginWith(host: Host, head: JournalHead, room: (host: Host) => void, lost: readonly ChangeEntry[] = []): void {
  ensureDir(host.at(STATE_DIR), 0o700);
  try {
    room(host);
    clearStage(host);
    host.journal.begin(head, lost);
  } catch (error) {
    // A full disk: nothing was changed yet.
    freeRoom(host);
    if (namesIn(host.at(STATE_DIR)).length === 0) rmdirSync(host.at(STATE_DIR));
    throw error;
  }
}

/** Tells services, in sentences what failed. */
export async function settleAll(
  host: Host,
  changes: readonly Change[],
  direction: 'apply' | 'revert',
): Promise<readonly string[]> {
  const deadline = Deadline.after(SETTLE_MS);
  const problems: string[] = [];
  for (const change of changes) problems.push(...(await change.settle(host, direction, deadline)));
  return problems;
}
