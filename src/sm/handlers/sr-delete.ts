import type { Handler } from '../handler.ts';
import { unimplemented } from './unimplemented.ts';

export const handler: Handler = unimplemented('sr_delete is not written yet.');
