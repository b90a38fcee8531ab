import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import { describeOpeners, openersOf } from '../../system/openers.ts';
import { lockHolder } from '../../system/locks/record-lock.ts';
import type { Disk } from '../datapath.ts';
import { readNbdState } from './nbd-files.ts';
import type { NbdFiles, NbdState } from './nbd-files.ts';

/** The state of a server that lives; one that is about to start or to end is waited for. */
export function settledState(files: NbdFiles, deadline: Deadline): Promise<NbdState | undefined> {
  return deadline
    .until(() => {
      const holder = lockHolder(files.lock);
      if (holder === undefined) return { state: undefined };
      const state = readNbdState(files.state);
      return state?.pid === holder.pid ? { state } : undefined;
    }, `the NBD server that holds ${files.lock}`)
    .then(({ state }) => state);
}

export async function stopServer(state: NbdState, files: NbdFiles, deadline: Deadline): Promise<void> {
  if (state.device !== undefined) await unused(state, state.device, deadline.within(UDEV_MS));
  try {
    process.kill(state.pid, 'SIGTERM');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
  const gone = (): true | undefined => (lockHolder(files.lock) === undefined ? true : undefined);
  await deadline.until(gone, `the NBD server of VDI ${state.vdi} (pid ${state.pid}) to write what it holds`);
}

/** udev looks at a device whenever somebody closes it. */
const UDEV_MS = 3000;

async function unused(
  state: NbdState,
  device: { path: string; major: number; minor: number },
  deadline: Deadline,
): Promise<void> {
  for (;;) {
    const openers = openersOf(device);
    const others = { ...openers, processes: openers.processes.filter(({ pid }) => pid !== state.pid) };
    const found = describeOpeners(others);
    if (found === undefined) return;
    if (deadline.leftMs < 100) {
      throw new RbdsrError('device-busy', {
        what: `VDI ${state.vdi} is still in use as ${device.path}`,
        found,
        facts: { vdi: state.vdi, device: device.path },
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The server that a worker started which died before it could say so. */
export async function adopted(disk: Disk, files: NbdFiles, deadline: Deadline): Promise<NbdState> {
  const state = await settledState(files, deadline);
  if (state !== undefined) return checkSame(disk, state);
  throw new RbdsrError('tapdisk-failed', { what: `the NBD server of VDI ${disk.vdi} ended before it served` });
}

export function checkSame(disk: Disk, running: NbdState): NbdState {
  if (running.target === disk.target && running.writable === disk.writable) return running;
  throw new RbdsrError('tapdisk-running', {
    what: `an NBD server (pid ${running.pid}) already serves VDI ${disk.vdi}`,
    expected: described(disk),
    found: described(running),
  });
}

function described({ target, writable }: { readonly target: string; readonly writable: boolean }): string {
  return `${target}, ${writable ? 'writable' : 'read-only'}`;
}
