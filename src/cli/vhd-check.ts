import { RbdsrError } from '../base/error.ts';
import type { CliCall } from './cli-call.ts';

export async function showCheck(_call: CliCall, _path: string, _options: boolean): Promise<number> {
  throw new RbdsrError('unimplemented', { what: 'vhd-check is not written yet' });
}
