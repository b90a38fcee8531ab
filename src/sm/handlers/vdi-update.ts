import type { Handler } from '../handler.ts';
import { unimplemented } from './unimplemented.ts';

export const handler: Handler = unimplemented('vdi_update is not written yet.');
