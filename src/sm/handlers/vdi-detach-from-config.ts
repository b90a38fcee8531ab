import type { Handler } from '../handler.ts';
import { unimplemented } from './unimplemented.ts';

export const handler: Handler = unimplemented('vdi_detach_from_config is not written yet.');
