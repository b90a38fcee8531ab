import { closeSync, constants, fsync, openSync, readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { promisify } from 'node:util';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import { ioctl, ioctlBlocking } from '../../system/libc/libc.ts';
import { kernelRelease } from '../../system/kernel.ts';
import { takeRecordLock } from '../../system/locks/record-lock.ts';
import { runFailure, runProgram, succeeded } from '../../system/run.ts';
import { readAttribute } from '../../system/sysfs.ts';
import { claimNbd, describeNbd, NBD, type NbdClaim, type NbdKernel } from './nbd-claim.ts';
import { negotiate } from './nbd-handshake-client.ts';

export interface KernelNbdDevice {
  /** `/dev/nbd3`. */
  readonly path: string;
  readonly major: number;
  readonly minor: number;
  /** Settles when the kernel lets go of the connection, whoever wanted that. */
  readonly ended: Promise<void>;
  /** Writes back what the kernel caches and ends the connection; requests that still run are answered first. */
  disconnect(): Promise<void>;
}

/**
 * Makes a kernel block device of an export served by this very process. The old interface by ioctl needs no program,
 * works on every kernel, and ties the device to the server's life: once the server is gone, however it went, so is the
 * connection. There is no time limit on a request: a cluster that does not answer makes a guest wait, as the kernel's
 * own RBD client does.
 */
export async function connectKernelDevice(
  server: { readonly socketPath: string; readonly exportName: string; readonly devicesLock: string },
  deadline: Deadline,
): Promise<KernelNbdDevice> {
  await loadModule(deadline);
  const lock = await takeRecordLock(server.devicesLock, { wait: true, deadline });
  try {
    const { socket, size, flags } = await negotiate(server.socketPath, server.exportName, deadline);
    const { name, fd } = claimDevice(socket);
    const ended = serve(fd, socket, size, flags);
    // Reported to whoever holds the device; here only its coming too early matters.
    const early = ended.then(
      () => Promise.reject(new RbdsrError('io', { what: `the kernel gave ${name} up at once` })),
      (cause: unknown) => Promise.reject(new RbdsrError('io', { what: `the kernel does not take ${name}`, cause })),
    );
    const ready = deadline.until(() => readAttribute(`/sys/block/${name}/pid`), `the kernel's NBD client on ${name}`);
    await Promise.race([ready, early]);
    early.catch(() => {});
    return kernelDevice(name, fd, ended);
  } finally {
    await lock.release();
  }
}

/** More disks than a host has; without it the module makes 16 devices. */
const MOST_DEVICES = 256;

async function loadModule(deadline: Deadline): Promise<void> {
  if (nbdNames().length > 0) return;
  const outcome = await runProgram('modprobe', ['nbd', `nbds_max=${MOST_DEVICES}`, 'max_part=0'], { deadline });
  if (succeeded(outcome) && nbdNames().length > 0) return;
  throw new RbdsrError('kernel-module-missing', {
    what: "this kernel has no NBD client, and without tapdisk that is a disk's only way to a guest",
    found: runFailure(outcome).message,
    facts: { module: 'nbd' },
  });
}

function nbdNames(): string[] {
  return readdirSync('/sys/block').filter((name) => /^nbd[0-9]+$/.test(name));
}

/** A device that is ours from now on, by our socket in it. */
function claimDevice(socket: Socket): NbdClaim {
  try {
    const claim = claimNbd(kernelNbd, nbdNames(), descriptorOf(socket));
    if (claim !== undefined) return claim;
  } catch (error) {
    socket.destroy();
    throw error;
  }
  socket.destroy();
  throw new RbdsrError('device-missing', {
    what: `all ${nbdNames().length} NBD devices of this kernel are in use`,
    todo: `Load the module nbd with nbds_max=${MOST_DEVICES}.`,
  });
}

const kernelNbd: NbdKernel = {
  hasClient: (name) => readAttribute(`/sys/block/${name}/pid`) !== undefined,
  open: (name) => openSync(`/dev/${name}`, constants.O_RDWR),
  ioctl,
  close: closeSync,
};

/**
 * For a device that is claimed. The kernel takes its own reference to the socket; ours is closed before it starts to
 * read, so that none of its replies can reach us.
 */
async function serve(fd: number, socket: Socket, size: number, flags: number): Promise<void> {
  try {
    describeNbd(kernelNbd, fd, { size, flags, release: kernelRelease() });
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.destroy();
    await closed;
    await ioctlBlocking(fd, NBD.doIt);
  } finally {
    try {
      ioctl(fd, NBD.clearSocket);
    } finally {
      closeSync(fd);
    }
  }
}

/** Node has no public way to a socket's descriptor. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd: number } | null };
  if (handle === null || handle === undefined || handle.fd < 0) {
    throw new RbdsrError('internal', { what: 'the socket to our own NBD server has no descriptor' });
  }
  return handle.fd;
}

function kernelDevice(name: string, fd: number, ended: Promise<void>): KernelNbdDevice {
  const [major = Number.NaN, minor = Number.NaN] = (readAttribute(`/sys/block/${name}/dev`) ?? '')
    .split(':')
    .map(Number);
  let over = false;
  const settled = ended.finally(() => (over = true));
  settled.catch(() => {});
  return {
    path: `/dev/${name}`,
    major,
    minor,
    ended: settled,
    async disconnect() {
      if (over) return;
      await promisify(fsync)(fd);
      // On a thread of the pool: it waits for room in the socket, which this process's event loop has to make.
      await ioctlBlocking(fd, NBD.disconnect);
      await settled;
    },
  };
}
