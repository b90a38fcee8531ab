import type { BlockIo } from '../../base/block-io.ts';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError, messageOf } from '../../base/error.ts';
import type { Log } from '../../base/log.ts';
import { faultPoint } from '../../system/fault-point.ts';
import { ensureDir, removeIfExists, writeFileAtomic } from '../../system/files.ts';
import { takeRecordLock } from '../../system/locks/record-lock.ts';
import type { Disk } from '../datapath.ts';
import { connectKernelDevice } from './nbd-device.ts';
import type { KernelNbdDevice } from './nbd-device.ts';
import { openDisk } from './nbd-disk.ts';
import type { NbdFiles, NbdState } from './nbd-files.ts';
import { NbdOutcome, takeOutcome, withOutcome } from './nbd-outcome.ts';
import { startNbdServer } from './nbd-server.ts';

/** What the worker hands to the server it starts. */
export interface NbdServerOrder {
  readonly disk: Omit<Disk, 'memoryPool'>;
  readonly files: NbdFiles;
  /** Whether to make a kernel device as well. */
  readonly kernelDevice: boolean;
}

export interface ServedDisk {
  /** Settles when the kernel's client has gone by itself; never where there is none. */
  readonly abandoned: Promise<void>;
  /**
   * The state file first, so that nobody takes this server for a running one; then the kernel's client, what was asked
   * for, and the disk's footer: after it the disk is as a clean shutdown leaves it. What fails keeps nothing else from
   * being tried; the first failure is the outcome, and thrown.
   */
  stop(): Promise<void>;
}

/** Serves one disk until `stop`. The state file is written last: while it names this process, the disk is usable. */
export async function serveDisk(order: NbdServerOrder, log: Log, deadline: Deadline): Promise<ServedDisk> {
  const { disk, files } = order;
  ensureDir(files.folder, 0o700);
  const lock = await takeRecordLock(files.lock, { wait: false, deadline });
  const lost = takeOutcome(files.outcome);
  if (lost !== undefined) log.error(`VDI ${disk.vdi}: data may be lost; the server before this one: ${lost}`);
  const outcome = disk.writable ? new NbdOutcome(files.outcome) : undefined;
  const undo: Step[] = [];
  try {
    return { ...(await served(order, outcome, log, deadline, undo)), stop };
  } catch (error) {
    await stop().catch((cause: unknown) => log.error(messageOf(cause)));
    throw error;
  }

  /** Whoever finds the lock free finds the outcome. */
  async function stop(): Promise<void> {
    try {
      await runAll(undo);
    } catch (error) {
      outcome?.failed(messageOf(error));
      throw error;
    } finally {
      outcome?.close();
      await lock.release();
    }
  }
}

type Step = () => Promise<unknown>;

async function runAll(steps: readonly Step[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) await step().catch((error: unknown) => void failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/**
 * Puts what takes each step back in front of `undo`: that is also how a disk stops being served. Its last step alone
 * waits for a client, after the disk is closed, and not for long.
 */
async function served(
  order: NbdServerOrder,
  outcome: NbdOutcome | undefined,
  log: Log,
  deadline: Deadline,
  undo: Step[],
): Promise<Pick<ServedDisk, 'abandoned'>> {
  const { disk, files } = order;
  removeIfExists(files.state);
  const opened = await openDisk(disk);
  const io = outcome === undefined ? opened : withOutcome(opened, outcome);
  undo.unshift(() => closeDisk(io, disk.writable));
  const server = await startNbdServer(files.socket, { name: disk.vdi, io, readOnly: !disk.writable }, log);
  undo.unshift(() => server.quiesce());
  undo.push(() => server.hangUp());
  faultPoint('nbd.listening');
  const device = order.kernelDevice ? await connected(disk.vdi, files, deadline) : undefined;
  if (device !== undefined) undo.unshift(() => device.disconnect());
  faultPoint('nbd.connected');
  writeFileAtomic(files.state, `${JSON.stringify(stateOf(disk, device))}\n`, 0o600);
  undo.unshift(async () => void removeIfExists(files.state));
  return { abandoned: device === undefined ? new Promise<void>(() => {}) : device.ended };
}

async function closeDisk(io: BlockIo, writable: boolean): Promise<void> {
  faultPoint('nbd.quiesced');
  await runAll([async () => writable && io.flush(), () => io.close()]);
  faultPoint('nbd.closed');
}

function connected(vdi: string, files: NbdFiles, deadline: Deadline): Promise<KernelNbdDevice> {
  const server = { socketPath: files.socket, exportName: vdi, devicesLock: files.devicesLock };
  return connectKernelDevice(server, deadline);
}

function stateOf(disk: NbdServerOrder['disk'], device: KernelNbdDevice | undefined): NbdState {
  if (device === undefined) return { ...disk, pid: process.pid };
  const { path, major, minor } = device;
  return { ...disk, pid: process.pid, device: { path, major, minor } };
}

/** The order in argv: whole, or 'bad-request'. It comes from our own worker, so only its shape is looked at. */
export function parseOrder(text: string | undefined): NbdServerOrder {
  try {
    const order = JSON.parse(text ?? '') as NbdServerOrder;
    if (typeof order.disk.target === 'string' && typeof order.files.state === 'string') return order;
  } catch {
    // Answered below.
  }
  throw new RbdsrError('bad-request', {
    what: 'rbdsr nbd is started by the storage driver, with an order of its own as argument',
  });
}
