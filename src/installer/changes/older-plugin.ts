import { filesChange } from '../changing/change.ts';
import { oldPluginPlan } from './old-plugin.ts';

/**
 * An older RBDSR, written in Python, patches stock files. First of all changes, so that the others find the host as it
 * was.
 */
export const olderPlugin = filesChange({
  name: 'older plug-in',
  describe: "undoes an older Python RBDSR's patches",
  plan: oldPluginPlan,
  sticky: true,
});
