import { SECTOR } from '../../base/units.ts';
import { isOlder } from '../../system/kernel.ts';

/** Linux `include/uapi/linux/nbd.h`. */
export const NBD = {
  setSocket: 0xab00,
  setBlockSize: 0xab01,
  doIt: 0xab03,
  clearSocket: 0xab04,
  setSizeBlocks: 0xab07,
  disconnect: 0xab08,
  setTimeout: 0xab09,
  setFlags: 0xab0a,
} as const;

/** The kernel's NBD devices, by their names. */
export interface NbdKernel {
  /** Whether one is served, as its attribute `pid` tells. A client that is just setting it up has none yet. */
  hasClient(name: string): boolean;
  open(name: string): number;
  /** Throws the errno as a NodeJS error. */
  ioctl(fd: number, request: number, argument: number): unknown;
  close(fd: number): void;
}

export interface NbdClaim {
  readonly name: string;
  readonly fd: number;
}

/**
 * The first of `names` that takes `socket`, or undefined where others have them all. The kernel gives a device to the
 * first client that sets its socket and refuses the next one (Linux `drivers/block/nbd.c`, `nbd_add_socket`: EBUSY;
 * `nbd_ioctl`: EINVAL for one that netlink controls), but lets anybody who has it open change its size or clear that
 * socket. So nothing comes before the socket, and nothing after a refusal.
 */
export function claimNbd(kernel: NbdKernel, names: readonly string[], socket: number): NbdClaim | undefined {
  const ordered = names.toSorted((a, b) => Number(a.slice(3)) - Number(b.slice(3)));
  for (const name of ordered) {
    if (kernel.hasClient(name)) continue;
    const fd = kernel.open(name);
    try {
      kernel.ioctl(fd, NBD.setSocket, socket);
      return { name, fd };
    } catch (error) {
      kernel.close(fd);
      if (!['EBUSY', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  return undefined;
}

/**
 * What a claimed device is, before it is started: the kernel applies its size then. Linux 4.9 to 5.3 gives a request
 * that is not limited the block layer's 30 s and then shuts the one socket: a cluster that stalls for longer would cost
 * the guest its disk. There it gets a limit that no stall reaches; elsewhere none means none (`drivers/block/nbd.c`).
 */
export function describeNbd(
  kernel: Pick<NbdKernel, 'ioctl'>,
  fd: number,
  { size, flags, release }: { readonly size: number; readonly flags: number; readonly release: string },
): void {
  if (!isOlder(release, '4.9') && isOlder(release, '5.4')) kernel.ioctl(fd, NBD.setTimeout, DAY_SECONDS);
  kernel.ioctl(fd, NBD.setBlockSize, SECTOR);
  kernel.ioctl(fd, NBD.setSizeBlocks, Math.floor(size / SECTOR));
  kernel.ioctl(fd, NBD.setFlags, flags);
}

const DAY_SECONDS = 24 * 60 * 60;
