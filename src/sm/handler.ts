import type { Reply } from './protocol/reply.ts';
import type { SmRequest } from './protocol/request.ts';
import type { SrConfig, SrType } from '../sr/config/sr-type.ts';
import type { SrWork } from '../sr/work/work.ts';

/** One SM command. It answers with a reply or throws an RbdsrError, which the frame turns into a fault. */
export type Handler = (call: SmCall) => Promise<Reply>;

/** Everything a handler gets; made by `run-command.ts`. */
export interface SmCall extends SrWork {
  readonly request: SmRequest;
  readonly srType: () => Promise<SrType>;
}

/** device_config of the call, understood. */
export async function configOf({ srType, request }: SmCall): Promise<SrConfig> {
  return (await srType()).config(request.deviceConfig);
}
