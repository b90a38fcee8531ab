import type { NetworkNamespace } from '../machine/network-namespace.ts';
import type { Host } from '../hosts/host.ts';
import { CARDS, type Links } from '../hosts/links.ts';
import type { Fault } from './fault.ts';

/** A link that a fault may touch; the lab's own is none. */
export type FaultyWay = 'cluster' | 'pool';

/**
 * Nothing passes between the host and Ceph, or between it and xapi; the other way stays, and so does the lab's own. The
 * link is cut in the middle: both ends keep their carrier and addresses. What has no way back to its sender is dropped,
 * too (`rp_filter` of the network).
 */
export function linkDown(network: NetworkNamespace, host: Host, way: FaultyWay): Fault {
  const nowhere = `blackhole ${linksOf(host)[way].there}/32`;
  return {
    what: `${host.name} has no link to the ${way}`,
    begin: () => network.configure(`route replace ${nowhere}\n`),
    end: () => network.configure(`route replace ${nowhere}\nroute del ${nowhere}\n`),
  };
}

export interface Disturbance {
  /** Of a hundred packets, in each direction. */
  readonly lossPercent?: number;
  /** Of each packet, in each direction. */
  readonly delayMs?: number;
}

/**
 * Packets between the host and Ceph, or xapi, are lost or late in both directions (netem; ifb for those that arrive).
 */
export function linkDisturbed(host: Host, way: FaultyWay, { lossPercent = 0, delayMs = 0 }: Disturbance): Fault {
  linksOf(host);
  const card = CARDS[way];
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

function linksOf({ name, links }: Host): Links {
  if (links !== undefined) return links;
  throw new TypeError(`${name} has no links of its own: an emulated dom0 reaches Ceph through QEMU's network`);
}
