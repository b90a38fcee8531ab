import { type Step, step } from '../base/steps.ts';
import { runSteps } from '../system/running-steps.ts';
import type { Xapi } from '../xapi/client.ts';
import { type PbdRecord, setPbdDeviceConfig } from '../xapi/pbd.ts';
import type { StringMap } from '../xapi/values.ts';

/** Sets the same keys of every PBD, each in one call; answers the PBDs that were not so already. */
export async function setPbdFields(
  xapi: Xapi,
  pbds: readonly PbdRecord[],
  fields: StringMap,
): Promise<readonly PbdRecord[]> {
  const stale = pbds.filter(({ deviceConfig }) => !hasAll(deviceConfig, fields));
  for (const pbd of stale) await runSteps(fieldsSteps, { xapi, pbd, fields });
  return stale;
}

interface Fields {
  readonly xapi: Xapi;
  readonly pbd: PbdRecord;
  readonly fields: StringMap;
}

export const fieldsSteps: readonly Step<Fields>[] = [
  step('pbd-fields.after-pbd', writeFields, {
    does: 'one call, `PBD.set_device_config`',
    leaves: { id: 'some-fields', says: 'some PBDs as before, some with what is new' },
    mendedBy: { by: ['again'], says: 'the same command again does the rest' },
  }),
];

async function writeFields({ xapi, pbd, fields }: Fields): Promise<void> {
  await setPbdDeviceConfig(xapi, pbd.ref, { ...pbd.deviceConfig, ...fields });
}

export function hasAll(config: StringMap, fields: StringMap): boolean {
  return Object.entries(fields).every(([key, value]) => config[key] === value);
}
