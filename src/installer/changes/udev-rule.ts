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

/**
 * `:=` is final: udev 219 watches every block device by a later rule, 60-persistent-storage.rules. The flags are those
 * that this file heeds (systemd 231 on, and 219 of XenServer 8 and XCP-ng 8.3), 69-dm-lvm-metad.rules and its kind,
 * and 62-multipath.rules (sm `udev/58-xapi.rules` sets the same for td and nbd). Where the first of them is not known,
 * up to 8.2, udev still reads an image once when it is mapped: docs/tool-versions.md.
 */
const RULE = [
  '# Written by RBDSR: nothing but RBDSR looks into mapped RBD images.',
  'SUBSYSTEM=="block", KERNEL=="rbd[0-9]*", OPTIONS:="nowatch", ENV{UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG}="1", ENV{DM_UDEV_DISABLE_OTHER_RULES_FLAG}="1", ENV{nompath}="1", ENV{DM_MULTIPATH_DEVICE_PATH}="0"',
  '',
].join('\n');
