import { hasCode, type RbdsrError } from '../base/error.ts';
import { detectProfile, hostPaths, type HostProfile } from './host-profile.ts';
import { type HostSettings, readHostSettings } from './host-settings.ts';
import { type Inventory, readInventory } from './inventory.ts';

/** This host, as its files tell: what the administrator has set, what the installation is, and what follows. */
export interface ThisHost {
  readonly settings: HostSettings;
  readonly inventory: Inventory;
  readonly profile: HostProfile;
}

/**
 * Its files are below `root`. 'config-missing' where this is no dom0, 'config-invalid' for settings that are not
 * understood, 'kernel-unsupported' where the version is not known. With `odd` a setting that is not understood is
 * handed over there and counts as absent: for what has to go on all the same.
 */
export function thisHost(root: string, odd?: (problem: RbdsrError) => void): ThisHost {
  const paths = hostPaths(root, '');
  const inventory = readInventory(paths.inventory);
  const settings = readHostSettings(paths.settings, odd);
  try {
    return { settings, inventory, profile: detectProfile(settings, inventory, root) };
  } catch (error) {
    if (odd === undefined || settings.profile === undefined || !hasCode(error, 'config-invalid')) throw error;
    odd(error);
    const { profile: _unknown, ...rest } = settings;
    return { settings: rest, inventory, profile: detectProfile(rest, inventory, root) };
  }
}
