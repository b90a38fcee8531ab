import type { NetworkNamespace } from '../machine/network-namespace.ts';
import { check } from '../machine/program.ts';

/** One way from a host to the rest: a tap device whose other end is a network card of the host. */
export interface Link {
  /** The tap, in the cluster's network. */
  readonly tap: string;
  /** Its address in the cluster's network. */
  readonly here: string;
  /** The host's. */
  readonly there: string;
  /** Of the host's card; the same after a power cut, for neighbours remember it. */
  readonly mac: string;
}

/** What a host calls its end of each way. */
export const CARDS = { cluster: 'vec0', pool: 'vec1', lab: 'vec2' } as const;

/** A host's three ways, so that one can be cut and the others not. */
export interface Links {
  /** To Ceph: the address that watchers and blocklist entries show. */
  readonly cluster: Link;
  /** To xapi. */
  readonly pool: Link;
  /** To the lab; no fault touches it. */
  readonly lab: Link;
}

/** Of the n-th host of a cluster's network. 10.66.0 is Ceph's, 10.66.9 a stranger's. */
export function linksOf(name: string, index: number): Links {
  const link = (tap: string, net: number): Link => ({
    tap,
    here: `10.${net}.${index + 10}.1`,
    there: `10.${net}.${index + 10}.2`,
    mac: `02:00:0a:${net.toString(16)}:${(index + 10).toString(16).padStart(2, '0')}:02`,
  });
  return { cluster: link(name, 66), pool: link(`${name}-pool`, 67), lab: link(`${name}-lab`, 68) };
}

/** Makes the taps; they go with the network. */
export async function makeLinks(network: NetworkNamespace, links: Links): Promise<void> {
  const commands = [links.cluster, links.pool, links.lab].flatMap(({ tap, here }) => [
    `tuntap add dev ${tap} mode tap`,
    `addr add ${here}/30 dev ${tap}`,
    `link set ${tap} up`,
  ]);
  await network.configure(`${commands.join('\n')}\n`);
  // A packet from where no route leads back is dropped: so a route cuts a link in both directions.
  await check(network.inside(['sysctl', '-q', '-w', 'net.ipv4.conf.all.rp_filter=1']));
}
