import type { Deadline } from '../../base/deadline.ts';
import { exitErrno } from './tools/ceph-tool-errors.ts';
import type { CephTools } from './tools/ceph-tool-runner.ts';
import { decodeOwnUsers } from './own-user.ts';

/**
 * The names, without `client.`, of all users that some RBDSR has made. Clusters before Luminous (12) know the command
 * as `auth list` only, which later ones call deprecated (ceph `src/mon/MonCommands.h`).
 */
export async function listOwnUsers(tools: Pick<CephTools, 'ceph'>, deadline: Deadline): Promise<readonly string[]> {
  try {
    return decodeOwnUsers(await tools.ceph(['auth', 'ls', '--format', 'json'], deadline));
  } catch (error) {
    if (exitErrno(error) !== 'EINVAL') throw error;
    return decodeOwnUsers(await tools.ceph(['auth', 'list', '--format', 'json'], deadline));
  }
}
