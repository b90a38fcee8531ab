import type { StartLines } from '../hosts/start-script.ts';

/** QEMU's user network: the address below joins a connection to the lab's socket. */
export const AGENT_ADDRESS = { host: '10.0.2.100', port: 81 };

export const XEN_START: StartLines = {
  mounts: `mount -t debugfs debugfs /sys/kernel/debug
for folder in /tmp /var/log /var/lib/xen /var/lib/xenstored; do mkdir -p $folder; mount -t tmpfs tmpfs $folder; done
mkdir -p /var/log/xen/console /run/xenstored`,
  network: `ip link set eth0 up 2>/dev/null || ip link set "$(ls /sys/class/net | grep -v lo | head -1)" up
device=$(ls /sys/class/net | grep -v '^lo$' | head -1)
ip addr add 10.0.2.15/24 dev "$device"
ip route add default via 10.0.2.2`,
  agent: `${AGENT_ADDRESS.host}:${AGENT_ADDRESS.port}`,
  devices: `mount -t xenfs xenfs /proc/xen
for module in xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xen-blkback dm-mod loop; do modprobe $module; done
modprobe rbd
modprobe nbd nbds_max=16
xen=$(ls -d /usr/lib/xen-4.*/bin | head -1)
$xen/xenstored --pid-file /run/xenstored.pid
$xen/xen-init-dom0
$xen/xenconsoled --log=guest --log-dir=/var/log/xen/console --pid-file=/run/xenconsoled.pid`,
};
