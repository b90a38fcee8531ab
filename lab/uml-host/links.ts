import type { Link, Links } from '../hosts/links.ts';
import type { NetworkNamespace } from '../machine/network-namespace.ts';
import { check } from '../machine/program.ts';

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
