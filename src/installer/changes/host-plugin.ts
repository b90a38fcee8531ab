import { filesChange } from '../changing/change.ts';
import { PRODUCT } from '../host.ts';

/** What xapi runs for other hosts of the pool (Host.call_plugin): `rbdsr check --pool` asks it for the version. */
export const hostPlugin = filesChange({
  name: 'host plug-in',
  describe: 'lets other hosts of the pool ask this one',
  plan: (host) =>
    host.has(PROGRAM)
      ? { placements: [{ path: '/etc/xapi.d/plugins/rbdsr', want: { kind: 'link', target: PROGRAM }, owner: 'ours' }] }
      : { placements: [], notNeeded: `this build has no ${PROGRAM}` },
});

const PROGRAM = `${PRODUCT}/plugin.sh`;
