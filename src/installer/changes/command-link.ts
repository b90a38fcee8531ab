import { filesChange } from '../changing/change.ts';
import { LAUNCHER } from '../host.ts';

/** The operator's command in everybody's PATH. */
export const commandLink = filesChange({
  name: 'command',
  describe: 'the command rbdsr',
  plan: () => ({ placements: [{ path: '/usr/bin/rbdsr', want: { kind: 'link', target: LAUNCHER }, owner: 'ours' }] }),
});
