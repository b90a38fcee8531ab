import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import type { Socket } from 'node:net';
import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import { formatTarget } from './ssh-known-hosts.ts';
import type { SshTarget } from './ssh-known-hosts.ts';

/** A TCP connection to `target`, whichever of a name's addresses answers first. 'dns' | 'monitor-unreachable'. */
export async function connectTcp(target: SshTarget, deadline: Deadline): Promise<Socket> {
  const addresses = await addressesOf(target, deadline);
  let last: RbdsrError | undefined;
  for (const [index, host] of addresses.entries()) {
    const share = deadline.within(deadline.leftMs / (addresses.length - index));
    try {
      return await connectTo({ host, port: target.port }, share);
    } catch (error) {
      last = unreachable(target, (error as NodeJS.ErrnoException).code ?? 'no answer', error);
    }
  }
  throw last ?? unreachable(target, 'it has no address', undefined);
}

async function addressesOf({ host }: SshTarget, deadline: Deadline): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  try {
    const found = await deadline.race(lookup(host, { all: true, verbatim: true }), `the address of ${host}`);
    return found.map(({ address }) => address);
  } catch (error) {
    throw new RbdsrError('dns', {
      what: `the host name ${host} does not resolve`,
      expected: 'a name that the resolver of this host knows, or an address',
      found: (error as NodeJS.ErrnoException).code ?? 'no answer',
      todo: 'Name the monitor by its address, or mend /etc/resolv.conf or /etc/hosts on this host.',
      facts: { names: host },
      cause: error,
    });
  }
}

function connectTo({ host, port }: SshTarget, deadline: Deadline): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })), deadline.leftMs);
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

function unreachable(target: SshTarget, found: string, cause: unknown): RbdsrError {
  return new RbdsrError('monitor-unreachable', {
    what: `nothing answers at ${formatTarget(target)}, where SSH to the monitor was expected`,
    found,
    todo: 'Check the address and that sshd runs there, and that a firewall lets this host reach its port.',
    facts: { host: formatTarget(target), errno: found },
    cause,
  });
}
