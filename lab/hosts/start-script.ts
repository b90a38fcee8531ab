import { recordedSystemd } from './recorded-systemd.ts';

/** What systemctl was asked. */
export const SYSTEMCTL_LOG = '/run/lab/systemctl.log';
/** Of the recorded states (test/fixtures/systemd) the one that the host is in. */
export const SYSTEM_STATE = '/run/lab/system-state';

export interface StartOptions {
  /** INSTALLATION_UUID of /etc/xensource-inventory. */
  readonly hostUuid: string;
  readonly hostName: string;
  /** Where this machine's node is, below its root. */
  readonly node: string;
}

/** What differs between the kinds of host: shell lines. */
export interface StartLines {
  /** File systems of its own. */
  readonly mounts: string;
  readonly network: string;
  /** Addresses for the agent (lab/hosts/agent.ts). */
  readonly agent: string;
  /** Kernel modules, and what has to run before a disk is served. */
  readonly devices: string;
}

/** A file of this machine, which hides its Node from the programs of a host. */
export function onMachine(path: string): string {
  return `/mnt/host${path}`;
}

/**
 * A host's first process: it brings up what XenServer's systemd would, then waits for children for ever, as an init
 * must. May run once per boot.
 */
export function startScript(o: StartOptions, lines: StartLines): string {
  return `#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
echo "lab: root is up"
mkdir -p /run/lock /run/xen /run/udev /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
${lines.mounts}
mkdir -p /run/lock/lvm
[ "$(readlink -f /var/run)" = /run ] || mount --bind /run /var/run
[ "$(readlink -f /var/lock)" = /run/lock ] || mount --bind /run/lock /var/lock
hostname ${o.hostName}
ip link set lo up
${lines.network}
UV_THREADPOOL_SIZE=16 ${onMachine(o.node)} /run/lab/agent.cjs ${lines.agent} </dev/null >/run/lab/agent.log 2>&1 &
${lines.devices}
/lib/systemd/systemd-udevd --daemon --resolve-names=never
udevadm trigger --subsystem-match=block --subsystem-match=misc --subsystem-match=mem
cat >/etc/xensource-inventory <<'END'
PRODUCT_BRAND='XCP-ng'
PRODUCT_VERSION='8.3.0'
INSTALLATION_UUID='${o.hostUuid}'
END
mkdir -p /etc/rbdsr /etc/lvm/master /opt/xensource/sm /etc/xapi.d/plugins /var/lib/xcp /dev/sm
[ -e /etc/lvm/master/lvm.conf ] || cp /etc/lvm/lvm.conf /etc/lvm/master/
# systemd does not run here; what it is asked can be looked up, and the state in which it was recorded be written.
rm -f /usr/bin/systemctl
cat >/usr/bin/systemctl <<'END'
${recordedSystemd('/usr/bin/systemctl', { states: ['running', 'no such unit'], log: SYSTEMCTL_LOG, stateFile: SYSTEM_STATE })}END
echo running >${SYSTEM_STATE}
chmod 755 /usr/bin/systemctl
udevadm settle --timeout=30
touch /run/lab/ready
echo "lab: the host is up"
while :; do wait; sleep 1; done
`;
}
