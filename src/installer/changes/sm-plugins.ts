import { filesChange } from '../changing/change.ts';
import type { Host } from '../host.ts';
import type { Plan } from '../changing/placement.ts';
import { accepts, SM_PLUGINS_FILE, smPluginsFileInForce, smPluginsWithoutOurs } from '../sm-plugins.ts';

/**
 * xapi (from 7.0) runs only drivers whose type is in `sm-plugins`. A definition replaces the one before it, so ours
 * repeats that.
 */
export const smPlugins = filesChange({ name: 'sm-plugins', describe: 'the SR types xapi accepts', plan });

function plan(host: Host): Plan {
  const others = smPluginsWithoutOurs(host);
  if (others === undefined) return { placements: [], notNeeded: 'this xapi takes every driver it finds' };
  if (accepts(others, 'rbd')) {
    const where = others.file ?? "xapi's own list";
    return { placements: [], notNeeded: `${where} has ${others.types.includes('*') ? 'all types' : 'rbd'} already` };
  }
  const data = [
    '# Written by RBDSR ("rbdsr enable"): what was in force before, and rbd. "rbdsr disable" removes this file.',
    `sm-plugins=${others.types.join(' ')} rbd`,
    '',
  ].join('\n');
  const inForce = smPluginsFileInForce(host);
  const later = inForce !== undefined && inForce > SM_PLUGINS_FILE ? inForce : undefined;
  return {
    placements: [{ path: SM_PLUGINS_FILE, want: { kind: 'file', data, mode: 0o644 }, owner: 'ours' }],
    ...(later === undefined
      ? {}
      : {
          remarks: [
            {
              path: later,
              what: `defines sm-plugins after ${SM_PLUGINS_FILE}, and without rbd`,
              todo: `add rbd to its sm-plugins, or take the line out; then xe-toolstack-restart`,
            },
          ],
        }),
  };
}
