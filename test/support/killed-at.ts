import { expect } from 'vitest';
import type { XapiDouble } from '../../lab/xapi-double/double.ts';

/** Runs `work` with these variables in the environment of every driver. */
export type InEnvironment = (environment: Readonly<Record<string, string>>, work: () => Promise<void>) => Promise<void>;

/** The call, killed at the fault point: xapi sees a driver that ended by a signal. */
export async function killedAt(
  { runs }: XapiDouble,
  inEnvironment: InEnvironment,
  point: string,
  call: () => Promise<unknown>,
): Promise<void> {
  const before = runs.length;
  await inEnvironment({ RBDSR_FAULT: point }, () => expect(call()).rejects.toThrow('non-zero exit'));
  expect(runs.slice(before).map(({ code }) => code)).toContain(137);
}
