import type { Change } from './changing/change.ts';
import { commandLink } from './changes/command-link.ts';
import { divert } from './changes/divert.ts';
import { driverEntry } from './changes/driver-entry.ts';
import { hostPlugin } from './changes/host-plugin.ts';
import { moduleLoad } from './changes/module-load.ts';
import { multipath } from './changes/multipath.ts';
import { olderPlugin } from './changes/older-plugin.ts';
import { services } from './changes/services.ts';
import { smPlugins } from './changes/sm-plugins.ts';
import { udevRule } from './changes/udev-rule.ts';
import { versionShim } from './changes/version-shim.ts';

/**
 * In the order in which they are made; they are undone in the reverse one. The older plug-in goes first; the divert,
 * which every iSCSI SR of the host passes, comes when all else has worked.
 */
export const CHANGES: readonly Change[] = [
  olderPlugin,
  moduleLoad,
  udevRule,
  multipath,
  driverEntry,
  smPlugins,
  hostPlugin,
  commandLink,
  versionShim,
  services,
  divert,
];
