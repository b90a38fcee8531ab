import { messageOf } from '../base/error.ts';
import { CHANGES } from './change-list.ts';
import type { Finding } from './changing/finding.ts';
import type { Host } from './host.ts';

/**
 * What each change finds. One that cannot look, because something odd is in its way, says so, and keeps no other from
 * looking.
 */
export function checkEach(host: Host): readonly Finding[] {
  return CHANGES.flatMap((change): readonly Finding[] => {
    try {
      return change.check(host);
    } catch (error) {
      return [{ part: change.name, state: 'changed', what: messageOf(error) }];
    }
  });
}
