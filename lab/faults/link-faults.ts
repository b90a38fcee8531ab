import type { Host } from '../hosts/host.ts';
import { type FaultyWay, UmlHost } from '../uml-host/uml-host.ts';
import type { Fault } from './fault.ts';

/** Nothing passes between the host and Ceph, or between it and xapi; the other way stays, and so does the lab's own. */
export function linkDown(host: Host, way: FaultyWay): Fault {
  const usual = usualHost(host);
  return {
    what: `${host.name} has no link to the ${way}`,
    begin: () => usual.setLink(way, 'down'),
    end: () => usual.setLink(way, 'up'),
  };
}

export interface Disturbance {
  /** Of a hundred packets, in each direction. */
  readonly lossPercent?: number;
  /** Of each packet, in each direction. */
  readonly delayMs?: number;
}

/** Packets between the host and Ceph, or xapi, are lost or late in both directions (netem; ifb for those that arrive). */
export function linkDisturbed(host: Host, way: FaultyWay, { lossPercent = 0, delayMs = 0 }: Disturbance): Fault {
  const card = usualHost(host).cardOf(way);
  const netem = `netem limit 10000 delay ${delayMs}ms loss ${lossPercent}%`;
  return {
    what: `${lossPercent} % of the packets between ${host.name} and the ${way} are lost, all are ${delayMs} ms late`,
    begin: async () => {
      await host.shell(`
modprobe sch_netem; modprobe sch_ingress; modprobe cls_matchall; modprobe act_mirred
ip link show ${card}-in >/dev/null 2>&1 || ip link add ${card}-in type ifb
ip link set ${card}-in up
tc qdisc add dev ${card} handle ffff: ingress
tc filter add dev ${card} parent ffff: matchall action mirred egress redirect dev ${card}-in
tc qdisc add dev ${card}-in root ${netem}
tc qdisc add dev ${card} root ${netem}`);
    },
    end: async () => {
      await host.shell(`
tc qdisc del dev ${card} root 2>/dev/null || true
tc qdisc del dev ${card} ingress 2>/dev/null || true
ip link del ${card}-in 2>/dev/null || true`);
    },
  };
}

function usualHost(host: Host): UmlHost {
  if (host instanceof UmlHost) return host;
  throw new TypeError(`${host.name} has no links of its own: an emulated dom0 reaches Ceph through QEMU's network`);
}
