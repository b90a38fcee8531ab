import type { Deadline } from '../../base/deadline.ts';
import { hasCode } from '../../base/error.ts';
import type { DeviceOpeners } from '../../system/openers.ts';

/**
 * How long udev may take to look at a device that has just appeared or been closed, ms; an emulated host needs seconds.
 */
export const UDEV_MS = 15_000;
const UDEV = /udevd|udev-worker/;

/**
 * Who has a device open once udev has let go of it: udev opens every device after it was made or written, and lets go
 * by itself. It is among them only where it takes longer than any look at a device. The look that ends the waiting is
 * the one that counts: in the moment before another one udev may just have come.
 */
export async function openersOnceUdevIsDone(look: () => DeviceOpeners, deadline: Deadline): Promise<DeviceOpeners> {
  let openers: DeviceOpeners = { processes: [], holders: [], mountPoints: [] };
  try {
    return await deadline.within(UDEV_MS).until(
      () => {
        openers = look();
        return isOnlyUdev(openers) ? undefined : openers;
      },
      'udev to close the device',
      100,
    );
  } catch (error) {
    if (hasCode(error, 'deadline')) return openers;
    throw error;
  }
}

/** True for udev itself and for a program it runs: nobody who uses the device. */
export function isOnlyUdev({ processes, holders, mountPoints }: DeviceOpeners): boolean {
  if (holders.length > 0 || mountPoints.length > 0 || processes.length === 0) return false;
  return processes.every(({ command, startedBy = '' }) => UDEV.test(command) || UDEV.test(startedBy));
}
