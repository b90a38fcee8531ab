import { filesChange } from '../changing/change.ts';
import { LAUNCHER, SM_DIR } from '../host.ts';

/**
 * xapi takes every entry of that folder whose name ends in "SR" for a driver (xen-api, `Storage_smapiv1`): SR type
 * `rbd`. It runs it, or with tracing on has Python run it, so the launcher is both.
 */
export const driverEntry = filesChange({
  name: 'driver',
  describe: 'the driver of SR type rbd',
  plan: () => ({ placements: [{ path: DRIVER_ENTRY, want: { kind: 'link', target: LAUNCHER }, owner: 'ours' }] }),
});

export const DRIVER_ENTRY = `${SM_DIR}/RBDSR`;
