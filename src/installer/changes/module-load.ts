import { filesChange } from '../changing/change.ts';
import type { Host } from '../host.ts';
import { withBlock } from '../changing/marked-block.ts';
import { readState } from '../changing/path-state.ts';
import type { Placement, Plan } from '../changing/placement.ts';
import { readIfExists } from '../../system/files.ts';

/** The kernel's RBD client is there before the first plug. (The driver loads it too, where it finds it missing.) */
export const moduleLoad = filesChange({ name: 'kernel module', describe: 'loads rbd at boot', plan });

function plan(host: Host): Plan {
  return { placements: [host.version.modules === 'rc.modules' ? rcModules(host) : MODULES_LOAD] };
}

/** modules-load.d(5). */
const MODULES_LOAD: Placement = {
  path: '/etc/modules-load.d/rbdsr.conf',
  want: { kind: 'file', data: '# Written by RBDSR.\nrbd\n', mode: 0o644 },
  owner: 'ours',
};

/** rc.sysinit of CentOS 5 runs this file where it is executable; others may have lines in it too. */
function rcModules(host: Host): Placement {
  const path = '/etc/rc.modules';
  const state = readState(host.at(path));
  const text = readIfExists(host.at(path)) ?? '#!/bin/sh\n';
  const mode = state.kind === 'file' ? state.mode | 0o100 : 0o755;
  return {
    path,
    want: { kind: 'file', data: withBlock(text, ['modprobe rbd']), mode },
    owner: 'theirs',
    block: true,
  };
}
