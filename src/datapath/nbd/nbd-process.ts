import type { BlockIo } from '../../base/block-io.ts';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError, messageOf } from '../../base/error.ts';
import type { Log } from '../../base/log.ts';
import { lastStep, type Step, step } from '../../base/steps.ts';
import { ensureDir, removeIfExists, writeFileAtomic } from '../../system/files.ts';
import { takeRecordLock } from '../../system/locks/record-lock.ts';
import { runSteps, tryAllSteps } from '../../system/running-steps.ts';
import type { Disk } from '../datapath.ts';
import { connectKernelDevice } from './nbd-device.ts';
import type { KernelNbdDevice } from './nbd-device.ts';
import { openDisk } from './nbd-disk.ts';
import type { NbdFiles, NbdState } from './nbd-files.ts';
import { type NbdControl, type NbdOrder, startNbdControl } from './nbd-control.ts';
import { PausableIo } from './nbd-pause.ts';
import { NbdOutcome, takeOutcome, withOutcome } from './nbd-outcome.ts';
import { type NbdServer, startNbdServer } from './nbd-server.ts';

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
  const service: Service = { order, disk, outcome, log, deadline, isAnnounced: false };
  try {
    removeIfExists(files.state);
    await runSteps(nbdStartSteps, service);
    return { abandoned: service.device?.ended ?? new Promise<void>(() => {}), stop };
  } catch (error) {
    await stop().catch((cause: unknown) => log.error(messageOf(cause)));
    throw error;
  }

  /** Whoever finds the lock free finds the outcome. */
  async function stop(): Promise<void> {
    try {
      await tryAllSteps(nbdEndSteps, service);
    } catch (error) {
      outcome?.failed(messageOf(error));
      throw error;
    } finally {
      outcome?.close();
      await lock.release();
    }
  }
}

/** The serving of one disk; what it does not have yet is undefined. */
interface Service {
  readonly order: NbdServerOrder;
  /** As it is by now: its volumes may be others than at first. */
  disk: NbdServerOrder['disk'];
  readonly outcome: NbdOutcome | undefined;
  readonly log: Log;
  readonly deadline: Deadline;
  pausable?: PausableIo;
  /** The same, noting down what it holds. */
  io?: BlockIo;
  control?: NbdControl;
  server?: NbdServer;
  device?: KernelNbdDevice;
  /** Whether its state file is there. */
  isAnnounced: boolean;
}

const nothingLeft: Pick<Step<Service>, 'leaves' | 'mendedBy'> = {
  leaves: {
    id: 'not-in-use',
    says: 'a thin disk of full size, and nothing else: vdi_activate fails, and puts everything else back',
  },
  mendedBy: { by: ['vdi_activate', 'vdi_deactivate'], says: 'activating, deactivating' },
};

export const nbdStartSteps: readonly Step<Service>[] = [
  step('nbd.listening', listen, { does: 'the disk is opened, and a socket for requests', ...nothingLeft }),
  step('nbd.connected', connect, { does: "the kernel's client, where the host has nodes", ...nothingLeft }),
  lastStep(announce, 'the state file, by which the server is known'),
];

const mayLose: Pick<Step<Service>, 'leaves' | 'mendedBy'> = {
  leaves: {
    id: 'nbd-holding',
    says: 'no server, and answered writes that may not be on the disk: `<vdi>.outcome` says `holding`',
  },
  mendedBy: {
    by: ['vdi_deactivate', 'vdi_activate'],
    says: 'deactivating fails once, and says that data may be lost; again releases the disk. Activating goes on, and logs it',
  },
};

const flushed: Pick<Step<Service>, 'leaves' | 'mendedBy'> = {
  leaves: { id: 'nbd-flushed', says: 'no server, and all of it on the disk: `<vdi>.outcome` says `flushed`' },
  mendedBy: { by: ['vdi_activate', 'vdi_deactivate'], says: 'deactivating goes on; activating' },
};

/** The last alone waits for a client, after the disk is closed, and not for long. */
export const nbdEndSteps: readonly Step<Service>[] = [
  step('nbd.withdrawn', withdraw, {
    does: 'the state file goes',
    ...mayLose,
    when: ({ isAnnounced }) => isAnnounced,
  }),
  step('nbd.disconnected', ({ device }) => device?.disconnect(), {
    does: "the kernel's client, where there is one, which first writes what it caches",
    ...mayLose,
  }),
  step('nbd.quiesced', ({ server }) => server?.quiesce(), {
    does: 'no request is taken any more',
    leaves: { id: 'nbd-quiesced', says: 'the same, and no socket' },
    mendedBy: mayLose.mendedBy,
    when: ({ server }) => server !== undefined,
  }),
  step('nbd.flushed', ({ io }) => io?.flush(), {
    does: 'the last flush',
    ...flushed,
    when: ({ pausable, disk }) => pausable?.isOpen === true && disk.writable,
  }),
  step('nbd.closed', ({ io }) => io?.close(), {
    does: 'the footer of a VHD, where it needs one; the disk is closed',
    ...flushed,
    when: ({ io }) => io !== undefined,
  }),
  lastStep(({ server }) => server?.hangUp(), 'replies are taken, connections closed'),
];

async function listen(service: Service): Promise<void> {
  const { order, outcome, log, disk } = service;
  const { files } = order;
  const pausable = new PausableIo(await openDisk(disk));
  const io = outcome === undefined ? pausable : withOutcome(pausable, outcome);
  service.pausable = pausable;
  service.io = io;
  service.control = await startNbdControl(files.control, (told) => carryOut(service, pausable, told));
  service.server = await startNbdServer(files.socket, { name: disk.vdi, io, readOnly: !disk.writable }, log);
}

async function connect(service: Service): Promise<void> {
  const { order, deadline } = service;
  if (order.kernelDevice) service.device = await connected(order.disk.vdi, order.files, deadline);
}

function announce(service: Service): void {
  const { order, disk, device, pausable } = service;
  const state = stateOf(disk, device, pausable?.isPaused === true);
  writeFileAtomic(order.files.state, `${JSON.stringify(state)}\n`, 0o600);
  service.isAnnounced = true;
}

/** Paused or not as asked, whatever it was. What the state file says follows, after a failure too. */
async function carryOut(service: Service, pausable: PausableIo, told: NbdOrder): Promise<void> {
  try {
    if (told.verb === 'pause') await pause(service, pausable);
    else if (pausable.isPaused) await resume(service, pausable, told.disk);
  } finally {
    announce(service);
  }
}

async function pause({ disk, outcome }: Service, pausable: PausableIo): Promise<void> {
  await pausable.pause(async (io) => {
    if (disk.writable) await io.flush();
    if (outcome !== undefined) outcome.holding = false;
  });
}

async function resume(service: Service, pausable: PausableIo, now: NbdServerOrder['disk']): Promise<void> {
  const disk = { ...now, writable: service.disk.writable };
  const io = await openDisk(disk);
  try {
    pausable.resume(io);
  } catch (error) {
    await io.close();
    throw error;
  }
  service.disk = disk;
}

/** Who waits for the end of a pause fails from here on: the kernel's client would wait with them. */
async function withdraw({ order, control, pausable }: Service): Promise<void> {
  control?.close();
  removeIfExists(order.files.state);
  if (pausable?.isPaused === true) await pausable.close();
}

function connected(vdi: string, files: NbdFiles, deadline: Deadline): Promise<KernelNbdDevice> {
  const server = { socketPath: files.socket, exportName: vdi, devicesLock: files.devicesLock };
  return connectKernelDevice(server, deadline);
}

function stateOf(disk: NbdServerOrder['disk'], device: KernelNbdDevice | undefined, paused: boolean): NbdState {
  const state = { ...disk, pid: process.pid, ...(paused ? { paused } : {}) };
  if (device === undefined) return state;
  const { path, major, minor } = device;
  return { ...state, device: { path, major, minor } };
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
