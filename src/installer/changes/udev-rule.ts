import { filesChange } from '../changing/change.ts';

/**
 * udev looks into every block device that appears or was open for writing, for names below /dev/disk; LVM, multipath
 * and an unmap of ours meet it there. Stock rules keep it from xvd, td and nbd devices (58-xapi.rules), not from rbd.
 */
export const udevRule = filesChange({
  name: 'udev',
  describe: 'keeps udev from looking into RBD images',
  plan: (host) =>
    host.version.udevWatches
      ? {
          placements: [
            {
              path: '/etc/udev/rules.d/59-rbdsr.rules',
              want: { kind: 'file', data: RULE, mode: 0o644 },
              owner: 'ours',
            },
          ],
        }
      : { placements: [], notNeeded: "this host's udev does not watch devices" },
  settle: () => [['/sbin/udevadm', 'control', '--reload']],
});

/** The flags are those of 60-persistent-storage.rules and 62-multipath.rules. */
const RULE = [
  '# Written by RBDSR: nothing but RBDSR looks into mapped RBD images.',
  'SUBSYSTEM=="block", KERNEL=="rbd[0-9]*", OPTIONS+="nowatch", ENV{UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG}="1", ENV{DM_MULTIPATH_DEVICE_PATH}="0"',
  '',
].join('\n');
