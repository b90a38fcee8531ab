import { Krbd } from '../ceph/krbd.ts';
import type { SmCall } from './handler.ts';

/** The kernel's RBD client, its locks among our own run-time files. */
export function krbdOf(call: Pick<SmCall, 'profile'>): Krbd {
  const { root, runDir } = call.profile.paths;
  return new Krbd({ lockDir: runDir, sysRoot: `${root}/sys`, devRoot: `${root}/dev` });
}
