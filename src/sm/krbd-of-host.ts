import { Krbd } from '../ceph/krbd.ts';
import type { SmCall } from './handler.ts';

/** The kernel's RBD client, its locks among our own run-time files. */
export function krbdOf(call: Pick<SmCall, 'profile'>): Krbd {
  return new Krbd({ lockDir: call.profile.paths.runDir });
}
