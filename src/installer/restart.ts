import { DRIVER_ENTRY } from './changes/driver-entry.ts';
import { SM_PLUGINS_FILE } from './sm-plugins.ts';

/**
 * xapi looks for drivers, and reads its configuration, only when it starts. Undefined `written`: it is not known what
 * was.
 */
export function restartReasons(written: readonly string[] | undefined): readonly string[] {
  if (written === undefined) return ['xapi looks for drivers, and reads which SR types it may run, when it starts'];
  return [
    ...(written.includes(DRIVER_ENTRY) ? ['xapi looks for drivers when it starts, and SR type rbd is new to it'] : []),
    ...(written.includes(SM_PLUGINS_FILE) ? ['xapi reads sm-plugins, the SR types it may run, when it starts'] : []),
  ];
}
