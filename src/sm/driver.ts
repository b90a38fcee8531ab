import type { Handler } from './handler.ts';
import type { SrType } from '../sr/config/sr-type.ts';

/** What xapi has called: the driver of an SR type. */
export interface Driver {
  /** Loaded by the first command that asks what device_config means. */
  readonly type: () => Promise<SrType>;
  /** Commands it carries out in its own way, by name; all others are those of the command table. */
  readonly handlers: Readonly<Record<string, () => Promise<Handler>>>;
}

export const rbdDriver: Driver = {
  type: async () => (await import('../access/rbd-type.ts')).rbdType,
  handlers: {},
};
