import { filesChange } from '../changing/change.ts';
import { type Host, PRODUCT, SM_DIR } from '../host.ts';
import { importsOldPlugin } from './old-plugin.ts';
import type { Plan } from '../changing/placement.ts';

/** `python ./RBDSR.py version` in the SM folder, which administrators of the older plug-in know. */
export const versionShim = filesChange({ name: 'RBDSR.py', describe: 'python ./RBDSR.py version', plan });

const PATH = `${SM_DIR}/RBDSR.py`;
const SHIM = `${PRODUCT}/shims/RBDSR.py`;

function plan(host: Host): Plan {
  if (!host.has(SHIM)) return { placements: [], notNeeded: `this build has no ${SHIM}` };
  // A patched stock driver that could not be put back would load ours in place of the old one, and take every iSCSI SR
  // down with it.
  if (importsOldPlugin(host)) {
    return { placements: [], notNeeded: "the stock driver is still patched to load the older plug-in's RBDSR.py" };
  }
  return { placements: [{ path: PATH, want: { kind: 'link', target: SHIM }, owner: 'theirs' }] };
}
