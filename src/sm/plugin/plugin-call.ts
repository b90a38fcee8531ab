import type { SrUuid, VdiUuid } from '../../base/ids.ts';
import type { SmCall } from '../handler.ts';
import type { StringRecord } from '../request.ts';

/** What a function gets: an SM call on behalf of another host, its request completed from xapi, and the arguments. */
export interface PluginCall extends SmCall {
  readonly sr: SrUuid;
  readonly vdi: VdiUuid;
  readonly args: StringRecord;
}
