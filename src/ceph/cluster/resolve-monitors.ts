import { lookup } from 'node:dns/promises';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import { formatMonitor } from './monitors.ts';
import type { MonitorAddress } from './monitors.ts';

/**
 * Addresses only: each host name becomes every address it has, since the kernel resolves nothing in dom0. Names that do
 * not resolve are left out as long as one entry remains; 'dns' names them when none does. Called where an image is
 * about to be mapped, never in a command on the data path.
 */
export async function resolveMonitors(
  monitors: readonly MonitorAddress[],
  deadline: Deadline,
): Promise<readonly MonitorAddress[]> {
  const failed: string[] = [];
  const lists = await Promise.all(
    monitors.map(async (monitor) => {
      if (monitor.kind !== 'name') return [monitor];
      try {
        return await addressesOf(monitor, deadline);
      } catch (error) {
        failed.push(`${monitor.host} (${(error as NodeJS.ErrnoException).code ?? 'no answer'})`);
        return [];
      }
    }),
  );
  const addresses = new Map(lists.flat().map((address) => [formatMonitor(address), address]));
  if (addresses.size > 0) return [...addresses.values()];
  throw new RbdsrError('dns', {
    what: `no monitor's host name could be resolved: ${failed.join(', ')}`,
    expected: 'names that the resolver of this host knows, or addresses',
    todo: 'Name the monitors by address, or mend /etc/resolv.conf or /etc/hosts on this host.',
    facts: { names: monitors.map((monitor) => monitor.host).join(',') },
  });
}

async function addressesOf(monitor: MonitorAddress, deadline: Deadline): Promise<readonly MonitorAddress[]> {
  const found = await deadline
    .within(LOOKUP_MS)
    .race(lookup(monitor.host, { all: true, verbatim: true }), `the address of ${monitor.host}`);
  return found.map(({ address, family }) => ({
    kind: family === 6 ? 'ipv6' : 'ipv4',
    host: address,
    port: monitor.port,
  }));
}

/** What one lookup may take: a resolver that is down must leave time for the entries that need none. */
const LOOKUP_MS = 5000;
