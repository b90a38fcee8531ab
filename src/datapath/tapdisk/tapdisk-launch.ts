import { existsSync } from 'node:fs';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError, hasCode } from '../../base/error.ts';
import { faultPoint } from '../../system/fault-point.ts';
import { runProgram } from '../../system/run.ts';
import { writeAttribute } from '../../system/sysfs.ts';
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
  const undo: (() => Promise<void> | void)[] = [];
  try {
    const { device, minor } = await tapCtl.allocate();
    undo.unshift(
      () => request.note.remove(),
      () => tapCtl.free(minor),
    );
    request.note.allocated(minor);
    faultPoint('tapdisk.allocated');
    if (request.memoryPool !== undefined) await useMemoryPool(request.root, minor, request.memoryPool);
    const pid = await tapCtl.spawn();
    undo.unshift(() => terminate(pid));
    request.note.spawned(minor, pid);
    faultPoint('tapdisk.spawned');
    await runProgram('cgclassify', [String(pid)], { deadline: deadline.within(5000) });
    await tapCtl.attach(pid, minor);
    undo.unshift(() => tapCtl.detach(pid, minor));
    faultPoint('tapdisk.attached');
    await tapCtl.open(pid, minor, request);
    request.note.remove();
    return { pid, minor, device };
  } catch (error) {
    for (const step of undo) await attempt(step);
    if (!hasCode(error, 'tapdisk-failed')) throw error;
    throw new RbdsrError('tapdisk-failed', {
      ...error.detail,
      what: `tapdisk cannot serve ${request.kind}:${request.path}: ${error.detail.what}`,
      cause: error,
    });
  }
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
