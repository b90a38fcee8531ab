import type { SrUuid, VdiUuid } from '../../base/ids.ts';
import type { SrWork } from '../../sr/work/work.ts';
import type { StringMap } from '../../xapi/values.ts';

/** What a function gets: work on a disk on behalf of another host, and its arguments. */
export interface PluginCall extends SrWork {
  readonly sr: SrUuid;
  readonly vdi: VdiUuid;
  readonly args: StringMap;
}
