export interface StartOptions {
  /** `NAME='value'` lines of /etc/xensource-inventory. */
  readonly hostUuid: string;
  readonly hostName: string;
  /** Where this machine's node is, below its root. */
  readonly node: string;
}

/** The node of this machine, which programs of dom0 do not see. */
export function hiddenNode(node: string): string {
  return `/mnt/host${node}`;
}

/** dom0's first process: it brings up what XenServer's systemd would, then waits for children for ever, as an init must. */
export function startScript(o: StartOptions): string {
  return `#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
echo "lab: root is up"
mkdir -p /run/lock /run/xen /run/udev /dev/shm /dev/pts /var/log/xen/console
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
mount -t debugfs debugfs /sys/kernel/debug
for folder in /tmp /var/log /var/lib/xen /var/lib/xenstored; do mkdir -p $folder; mount -t tmpfs tmpfs $folder; done
mkdir -p /var/log/xen/console /run/xenstored /run/lock/lvm
[ "$(readlink -f /var/run)" = /run ] || mount --bind /run /var/run
[ "$(readlink -f /var/lock)" = /run/lock ] || mount --bind /run/lock /var/lock
hostname ${o.hostName}
ip link set lo up
ip link set eth0 up 2>/dev/null || ip link set "$(ls /sys/class/net | grep -v lo | head -1)" up
device=$(ls /sys/class/net | grep -v '^lo$' | head -1)
ip addr add 10.0.2.15/24 dev "$device"
ip route add default via 10.0.2.2
UV_THREADPOOL_SIZE=16 ${hiddenNode(o.node)} /run/lab/agent.cjs </dev/null >/run/lab/agent.log 2>&1 &
mount -t xenfs xenfs /proc/xen
for module in xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xen-blkback dm-mod loop; do modprobe $module; done
modprobe rbd
modprobe nbd nbds_max=16
/lib/systemd/systemd-udevd --daemon --resolve-names=never
udevadm trigger --subsystem-match=block --subsystem-match=misc --subsystem-match=mem
if [ -e /proc/xen/capabilities ]; then
  xen=$(ls -d /usr/lib/xen-4.*/bin | head -1)
  $xen/xenstored --pid-file /run/xenstored.pid
  $xen/xen-init-dom0
  $xen/xenconsoled --log=guest --log-dir=/var/log/xen/console --pid-file=/run/xenconsoled.pid
fi
cat >/etc/xensource-inventory <<'END'
PRODUCT_BRAND='XCP-ng'
PRODUCT_VERSION='8.3.0'
INSTALLATION_UUID='${o.hostUuid}'
END
mkdir -p /etc/rbdsr /etc/lvm/master /opt/xensource/sm /etc/xapi.d/plugins /var/lib/xcp /dev/sm
[ -e /etc/lvm/master/lvm.conf ] || cp /etc/lvm/lvm.conf /etc/lvm/master/
# systemd does not run here; what it is asked can be looked up, and what it says of the system be written.
rm -f /usr/bin/systemctl
cat >/usr/bin/systemctl <<'END'
#!/bin/sh
[ "$1" != is-system-running ] || exec cat /run/lab/system-state
echo "$*" >>/run/lab/systemctl.log
END
echo running >/run/lab/system-state
chmod 755 /usr/bin/systemctl
udevadm settle --timeout=30
touch /run/lab/ready
echo "lab: dom0 is up"
while :; do wait; sleep 1; done
`;
}
