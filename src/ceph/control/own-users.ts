import type { Deadline } from '../../base/deadline.ts';
import { exitErrno } from './tools/ceph-tool-errors.ts';
import type { CephTools } from './tools/ceph-tool-runner.ts';
import { decodeOwnUsers } from './own-user.ts';

/**
 * The names, without `client.`, of all users that some RBDSR has made. Clusters before Luminous (12) know the command
 * as `auth list` only, which later ones call deprecated (ceph `src/mon/MonCommands.h`).
 */
export async function listOwnUsers(tools: Pick<CephTools, 'ceph'>, deadline: Deadline): Promise<readonly string[]> {
  const list = (verb: 'ls' | 'list'): Promise<string> => tools.ceph(['auth', verb, '--format', 'json'], deadline);
  try {
    return decodeOwnUsers(await list('ls'));
  } catch (error) {
    if (exitErrno(error) !== 'EINVAL') throw error;
    return decodeOwnUsers(await list('list'));
  }
}
