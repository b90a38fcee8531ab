import { existsSync } from 'node:fs';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError, hasCode } from '../../base/error.ts';
import { type Mending, type Step, step } from '../../base/steps.ts';
import { runProgram } from '../../system/run.ts';
import { runSteps } from '../../system/running-steps.ts';
import { writeAttribute } from '../../system/waiting-sysfs.ts';
import type { DiskKind, MemoryPool } from '../datapath.ts';
import type { TapCtl } from './tap-ctl.ts';
import type { TapdiskNote } from './tapdisk-note.ts';

export interface LaunchRequest {
  readonly kind: DiskKind;
  readonly path: string;
  readonly writable: boolean;
  readonly memoryPool?: MemoryPool;
  /** Prefix of `/sys`. */
  readonly root: string;
  readonly note: TapdiskNote;
}

export interface Launched {
  readonly pid: number;
  readonly minor: number;
  /** What `allocate` printed. */
  readonly device: string;
}

/**
 * Starts a tapdisk on an image: allocate, spawn, attach, open (sm `blktap2.py`, Tapdisk.launch_on_tap). A failure
 * undoes the steps taken, last first, and is the error reported whatever the undoing meets.
 */
export async function launchTapdisk(tapCtl: TapCtl, request: LaunchRequest, deadline: Deadline): Promise<Launched> {
  const launch: Launch = { tapCtl, request, deadline, device: '', minor: -1, pid: -1, undo: [] };
  try {
    await runSteps(launchSteps, launch);
    const { pid, minor, device } = launch;
    return { pid, minor, device };
  } catch (error) {
    for (const back of launch.undo) await attempt(back);
    if (!hasCode(error, 'tapdisk-failed')) throw error;
    throw new RbdsrError('tapdisk-failed', {
      ...error.detail,
      what: `tapdisk cannot serve ${request.kind}:${request.path}: ${error.detail.what}`,
      cause: error,
    });
  }
}

/** The starting of one tapdisk; what it does not have yet is -1 or empty. */
interface Launch {
  readonly tapCtl: TapCtl;
  readonly request: LaunchRequest;
  readonly deadline: Deadline;
  device: string;
  minor: number;
  pid: number;
  /** What takes each step back, the last one first. */
  readonly undo: (() => Promise<void> | void)[];
}

const takenAway: Mending = {
  by: ['vdi_activate', 'vdi_deactivate'],
  says: 'what mends the whole: what the note names goes, unless somebody serves it',
};

/** Each is in the note, `/var/run/rbdsr/tapdisk/<vdi>.json`, as soon as tap-ctl has named it. */
export const launchSteps: readonly Step<Launch>[] = [
  step('tapdisk.allocated', allocate, {
    does: 'a minor',
    leaves: { id: 'tapdisk-minor', says: 'a minor without a process' },
    mendedBy: takenAway,
  }),
  step('tapdisk.spawned', spawn, {
    does: 'a process',
    leaves: { id: 'tapdisk-spawned', says: 'a minor, and a tapdisk beside it' },
    mendedBy: takenAway,
  }),
  step('tapdisk.attached', attach, {
    does: 'one attached to the other',
    leaves: { id: 'tapdisk-attached', says: 'a tapdisk without an image' },
    mendedBy: takenAway,
  }),
  step('tapdisk.opened', open, {
    does: 'the image is opened, the note goes',
    leaves: { id: 'tapdisk-serves', says: 'a tapdisk that serves the disk, without a name for it' },
    mendedBy: {
      by: ['vdi_activate', 'vdi_deactivate'],
      says: "activating or deactivating, which find it in `tap-ctl list` by the volume's path",
    },
  }),
];

async function allocate(launch: Launch): Promise<void> {
  const { tapCtl, request, undo } = launch;
  const { device, minor } = await tapCtl.allocate();
  Object.assign(launch, { device, minor });
  undo.unshift(
    () => request.note.remove(),
    () => tapCtl.free(minor),
  );
  request.note.allocated(minor);
}

async function spawn(launch: Launch): Promise<void> {
  const { tapCtl, request, minor, undo } = launch;
  if (request.memoryPool !== undefined) await useMemoryPool(request.root, minor, request.memoryPool);
  const pid = await tapCtl.spawn();
  launch.pid = pid;
  undo.unshift(() => terminate(pid));
  request.note.spawned(minor, pid);
}

async function attach({ tapCtl, deadline, minor, pid, undo }: Launch): Promise<void> {
  await runProgram('cgclassify', [String(pid)], { deadline: deadline.within(5000) });
  await tapCtl.attach(pid, minor);
  undo.unshift(() => tapCtl.detach(pid, minor));
}

/** Once it serves its image it is found, whatever comes: nothing is taken back. */
async function open({ tapCtl, request, minor, pid, undo }: Launch): Promise<void> {
  await tapCtl.open(pid, minor, request);
  request.note.remove();
  undo.length = 0;
}

/** Best effort, as in sm: a kernel without pools serves the disk from the default one. */
async function useMemoryPool(root: string, minor: number, pool: MemoryPool): Promise<void> {
  const attribute = `${root}/sys/class/blktap2/blktap!blktap${minor}/pool`;
  if (!existsSync(attribute) || pool.name.includes('/')) return;
  await attempt(() => writeAttribute(attribute, pool.name));
  const size = `${root}/sys/class/misc/blktap!control/pools/${pool.name}/size`;
  if (pool.pages !== undefined && existsSync(size)) await attempt(() => writeAttribute(size, String(pool.pages)));
}

function terminate(pid: number): void {
  process.kill(pid, 'SIGTERM');
}

/** An undoing that fails leaves what it could not undo; the first error is the one that counts. */
async function attempt(step: () => Promise<void> | void): Promise<void> {
  try {
    await step();
  } catch {
    // See above.
  }
}
