import { RbdsrError } from '../base/error.ts';
import type { CliCall } from './cli-call.ts';

export async function showVhd(
  _call: CliCall,
  _path: string,
  _options: { json?: true; parent?: string },
): Promise<number> {
  throw new RbdsrError('unimplemented', { what: 'vhd-info is not written yet' });
}
