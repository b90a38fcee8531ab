import { expect, test } from 'vitest';
import { specOf } from '../../../src/access/driver-srs.ts';
import { parseDeviceConfig } from '../../../src/sr/config/device-config.ts';
import { choiceOf, chosenImage } from '../../../src/sr/config/image-choice.ts';
import { translate } from '../../../src/sr/config/translate.ts';
import type { PbdRecord } from '../../../src/xapi/pbd.ts';
import type { SrRecord } from '../../../src/xapi/sr.ts';

const RBD = { monitors: '192.0.2.1', password: 'AQAhs9ZoAAAAABAAGSMxxA/N+iPiLNpsgd/o5g==', pool: 'p', image: 'i' };
const WIZARD = { target: '192.0.2.1', port: '6789', targetIQN: 'p', SCSIid: 'i' };

/** What whoever looks at another SR's PBD takes its image to be, and what its own sr_attach maps. */
function bySr(type: string, deviceConfig: Record<string, string>): unknown {
  return specOf({ type } as SrRecord, { deviceConfig } as PbdRecord);
}

test('a key that an iSCSI SR does not know makes its image no other one', () => {
  const config = { ...WIZARD, namespace: 'ns', pool: 'other', image: 'other' };
  const { pool, image } = translate(config);
  expect({ pool, image }).toEqual({ pool: 'p', image: 'i' });
  expect(bySr('lvmoiscsi', config)).toEqual({ pool: 'p', image: 'i' });
  expect(chosenImage(choiceOf(config))).toEqual({ pool: 'p', image: 'i' });
});

test('type rbd, with a namespace and with an empty one', () => {
  for (const [namespace, expected] of [
    ['ns', { pool: 'p', image: 'i', namespace: 'ns' }],
    ['', { pool: 'p', image: 'i' }],
  ] as const) {
    const config = { ...RBD, namespace };
    expect(bySr('rbd', config)).toEqual(expected);
    expect(chosenImage(parseDeviceConfig(config))).toEqual(expected);
    expect(chosenImage(choiceOf(config))).toEqual(expected);
  }
});

test.each([
  ['rbd', { ...RBD, pool: '' }],
  ['rbd', { ...RBD, image: '' }],
  ['lvmoiscsi', { ...WIZARD, targetIQN: '' }],
  ['lvmoiscsi', { ...WIZARD, SCSIid: '' }],
])('an empty value names nothing: %s %o', (type, config) => {
  expect(bySr(type, config)).toBeUndefined();
  expect(chosenImage(choiceOf(config))).toBeUndefined();
});

test("an iSCSI SR of the stock driver's has no image of ours", () => {
  expect(chosenImage(choiceOf({ ...WIZARD, port: '3260' }))).toBeUndefined();
});
