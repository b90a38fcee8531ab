import { RbdsrError } from '../base/error.ts';
import type { CliCall } from './cli-call.ts';

export async function catVhd(_call: CliCall, _path: string, _options: { parent?: string }): Promise<number> {
  throw new RbdsrError('unimplemented', { what: 'vhd-cat is not written yet' });
}
