import { Krbd } from '../ceph/krbd/krbd.ts';
import type { SmCall } from './handler.ts';
import { hostPaths } from './host-profile.ts';

/** The kernel's RBD client, its locks among our own run-time files. */
export function krbdOf(call: Pick<SmCall, 'profile'>): Krbd {
  return krbdAt(call.profile.paths.root);
}

/** The same by the prefix of the host's paths. */
export function krbdAt(root: string): Krbd {
  const { runDir } = hostPaths(root, '');
  return new Krbd({ lockDir: runDir, sysRoot: `${root}/sys`, devRoot: `${root}/dev` });
}
