import { lastStep, type Mending, type Step, step } from '../base/steps.ts';
import { runSteps } from '../system/running-steps.ts';
import type { Xapi } from '../xapi/client.ts';
import { removeMapKey, setMapKey } from '../xapi/map-keys.ts';
import { KEPT } from './kept-keys.ts';

/**
 * What is one key of SR.sm_config, and is read under its next key first; a user and its secret change by
 * change/switch-user.ts. After each step the SR can be plugged.
 */

/** `monitors` as the kernel takes them. */
export async function keepMonitors(xapi: Xapi, srRef: string, monitors: string): Promise<void> {
  await runSteps(keepSteps, { xapi, srRef, key: KEPT.monitors, next: KEPT.nextMonitors, value: monitors });
}

/** `line` of known_hosts. */
export async function keepHostKey(xapi: Xapi, srRef: string, line: string): Promise<void> {
  await runSteps(keepSteps, { xapi, srRef, key: KEPT.hostKey, next: KEPT.nextHostKey, value: line });
}

interface Keeping {
  readonly xapi: Xapi;
  readonly srRef: string;
  readonly key: string;
  /** Where it stands, it counts and `key` does not. */
  readonly next: string;
  readonly value: string;
}

const again: Mending = { by: ['again'], says: 'remonitor again' };

export const keepSteps: readonly Step<Keeping>[] = [
  step('remonitor.after-next', ({ next, ...keeping }) => set(keeping, next), {
    does: '`rbd_next_monitors` is set',
    leaves: { id: 'next-value', says: '**changed**: the new ones count' },
    mendedBy: again,
  }),
  step('remonitor.after-key', ({ key, ...keeping }) => set(keeping, key), {
    does: '`rbd_monitors` is set',
    leaves: { id: 'next-value-and-key', says: 'the same' },
    mendedBy: again,
  }),
  lastStep(
    ({ xapi, srRef, next }) => removeMapKey(xapi, 'SR.sm_config', srRef, next),
    '`rbd_next_monitors` is removed',
  ),
];

function set({ xapi, srRef, value }: Pick<Keeping, 'xapi' | 'srRef' | 'value'>, key: string): Promise<void> {
  return setMapKey(xapi, 'SR.sm_config', srRef, key, value);
}
