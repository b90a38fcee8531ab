import { Krbd } from '../../ceph/krbd/krbd.ts';
import type { SrWork } from '../work/work.ts';
import { hostPaths } from '../../dom0/host-profile.ts';

/** The kernel's RBD client, its locks among our own run-time files. */
export function krbdOf(work: Pick<SrWork, 'profile'>): Krbd {
  return krbdAt(work.profile.paths.root);
}

/** The same by the prefix of the host's paths. */
export function krbdAt(root: string): Krbd {
  const { runDir } = hostPaths(root, '');
  return new Krbd({ lockDir: runDir, sysRoot: `${root}/sys`, devRoot: `${root}/dev` });
}
