/**
 * What only a Xen dom0 of the lab has, and why a user-mode Linux host has not. Scenarios name what they need; the
 * runner finds a host for it.
 */
export const NEEDS_XEN = {
  'a Xen host': 'Xen under the host and /proc/xen in it: the user-mode kernel is a process of this machine',
  'a guest': 'a PV guest whose disk the kernel serves (xen-blkback): there is no hypervisor to run one',
  debugfs:
    "the kernel's debugfs, where its RBD client shows a cluster's fsid: Debian builds the user-mode kernel without",
} as const satisfies Readonly<Record<string, string>>;

export type Need = keyof typeof NEEDS_XEN;

export const ALL_NEEDS = Object.keys(NEEDS_XEN) as readonly Need[];
