import type { StartLines } from '../hosts/start-script.ts';
import { CARDS, type Link, type Links } from '../hosts/links.ts';

export interface Ports {
  /** Of the lab's link, where this host's agent is waited for. */
  readonly agent: number;
  /** Of the pool's link. */
  readonly xapi: number;
}

export function umlStart({ cluster, pool, lab }: Links, ports: Ports): StartLines {
  const card = (name: string, { there }: Link): string => `ip addr add ${there}/30 dev ${name}; ip link set ${name} up`;
  return {
    mounts: 'mount -t tmpfs tmpfs /tmp',
    network: `${card(CARDS.cluster, cluster)}
${card(CARDS.pool, pool)}
${card(CARDS.lab, lab)}
ip route add default via ${cluster.here}`,
    agent: `${lab.here}:${ports.agent} ${pool.here}:${ports.xapi}`,
    devices: `for module in dm-mod loop rbd; do modprobe $module; done
modprobe nbd nbds_max=16`,
  };
}
