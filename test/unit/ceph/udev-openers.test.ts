import { describe, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { isOnlyUdev, openersOnceUdevIsDone } from '../../../src/ceph/krbd/udev-openers.ts';
import type { DeviceOpener, DeviceOpeners } from '../../../src/system/openers.ts';

const NOBODY: DeviceOpeners = { processes: [], holders: [], mountPoints: [] };
const UDEV = { pid: 7, command: '(udev-worker)', startedBy: 'systemd-udevd' };
const DD = { pid: 9, command: 'dd', startedBy: 'bash' };
const by = (...processes: DeviceOpener[]): DeviceOpeners => ({ ...NOBODY, processes });

describe('who counts as udev', () => {
  test.each([
    ['nobody', NOBODY, false],
    ['a worker', by(UDEV), true],
    ['an old udevd', by({ pid: 7, command: 'udevd' }), true],
    ['what a worker runs', by({ pid: 8, command: 'lvm', startedBy: '(udev-worker)' }), true],
    ['a worker beside somebody else', by(UDEV, DD), false],
    ['a worker of a device with a holder', { ...by(UDEV), holders: ['dm-3'] }, false],
    ['a worker of a device that is mounted', { ...by(UDEV), mountPoints: ['/mnt'] }, false],
  ])('%s: %j is %j', (_what, openers, expected) => {
    expect(isOnlyUdev(openers)).toBe(expected);
  });
});

/** Each look finds the next of these, at last the last one for good. */
function looksThatFind(...found: readonly DeviceOpeners[]): { look: () => DeviceOpeners; count: () => number } {
  let looks = 0;
  return { look: () => found[Math.min(looks++, found.length - 1)] ?? NOBODY, count: () => looks };
}

describe('waiting until udev has let go', () => {
  test('one look at a device that nobody has open is enough: udev may come right after it, and counts no more', async () => {
    const { look, count } = looksThatFind(NOBODY, by(UDEV));
    expect(await openersOnceUdevIsDone(look, Deadline.after(5000))).toEqual(NOBODY);
    expect(count()).toBe(1);
  });

  test('it is waited for, and who is there then is told', async () => {
    expect(await openersOnceUdevIsDone(looksThatFind(by(UDEV), by(UDEV), NOBODY).look, Deadline.after(5000))).toEqual(
      NOBODY,
    );
    expect(await openersOnceUdevIsDone(looksThatFind(by(UDEV), by(DD)).look, Deadline.after(5000))).toEqual(by(DD));
  });

  test('one that stays is named at the end', async () => {
    expect(await openersOnceUdevIsDone(() => by(UDEV), Deadline.after(150))).toEqual(by(UDEV));
  });
});
