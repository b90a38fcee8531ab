import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hasCode } from '../../../src/base/error.ts';
import { checkMappable } from '../../../src/ceph/image/image-spec.ts';
import { iqnAnswer } from '../../../src/wizard/iqn-answer.ts';
import { lunAnswer } from '../../../src/wizard/lun-answer.ts';
import { xmlDocument } from '../../../src/sm/protocol/probe-xml.ts';
import { xenOrchestraLuns, xenOrchestraSrs, xenOrchestraTargets } from '../../support/wizard-clients/xen-orchestra.ts';
import { xenCenterLuns, xenCenterTargets } from '../../support/wizard-clients/xencenter.ts';

const TARGETS = ['10.0.0.1', 'Mon.example', '10.0.0.1,10.0.0.2', '[fd00::1]', 'fd00::1'];

/** What somebody may call a pool or an image. */
const HOSTILE = [
  '*',
  '',
  ' ',
  'a b',
  ' a',
  'a\n',
  'a\nb',
  'a\rb',
  'a\tb',
  'a\u0000',
  'a\u0001b',
  'a\u007Fb',
  'a\u0085',
  'a\u00A0',
  '\uFEFFa',
  'a\u2028b',
  '\uD800',
  'a\uFFFE',
  'bad\uFFFDutf8',
  'x'.repeat(5000),
];
const GOOD = [
  'rbd',
  'a&b',
  '<name>',
  '</TGT>',
  ']]>',
  '"q"',
  "o'k",
  '&#10;',
  '&amp;',
  'größe',
  '大きさ',
  '💾',
  'a/b',
  'a@b',
  'a,b',
  '%s',
  '$(x)',
  '-',
  '**',
  'a\u200Bb',
];

const named = (names: readonly string[]): { name: string; sizeBytes: number }[] =>
  names.map((name, index) => ({ name, sizeBytes: index * 2 ** 40 }));

function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('pools as targets', () => {
  test.each(TARGETS)('for %s, both clients list every pool, at the address as typed and port 6789', (target) => {
    const { fault, stderr } = iqnAnswer(target, named(['b', 'a', 'c']));
    expect(fault.faultCode).toBe(96);
    expect(xenCenterTargets(stderr)).toEqual(
      ['a', 'b', 'c'].map((iqn, index) => ({ index, address: target, port: 6789, iqn })),
    );
    expect(xenOrchestraTargets(stderr, target)).toEqual(['a', 'b', 'c'].map((iqn) => ({ iqn, ip: target })));
  });

  test('the bytes are laid out as stock lays them out', () => {
    expect(iqnAnswer('mon', named(['rbd'])).stderr).toBe(
      '<?xml version="1.0" ?>\n<iscsi-target-iqns>\n\t<TGT>\n\t\t<Index>0</Index>\n\t\t<IPAddress>mon</IPAddress>\n\t\t<Port>6789</Port>\n' +
        '\t\t<TargetIQN>rbd</TargetIQN>\n\t</TGT>\n</iscsi-target-iqns>\n',
    );
  });

  test('a name comes back as it is, or is left out with a line for the log', () => {
    const { fault, stderr, leftOut } = iqnAnswer('mon', named([...HOSTILE, ...GOOD]));
    const sorted = GOOD.toSorted((a, b) => (a < b ? -1 : 1));
    expect(xenCenterTargets(stderr).map(({ iqn }) => iqn)).toEqual(sorted);
    expect(xenOrchestraTargets(stderr, 'mon').map(({ iqn }) => iqn)).toEqual(sorted);
    expect(leftOut).toHaveLength(HOSTILE.length);
    for (const line of leftOut)
      expect(line).toMatch(/^pool "[^\p{Cc}\p{Zl}\p{Cs}]*" is not listed: [^\p{Cc}\p{Zl}\p{Cs}]+$/u);
    expect(leftOut.every((line) => line.length < 4000)).toBe(true);
    expect(fault.faultString).toContain(`${HOSTILE.length} cannot be used`);
  });

  test('an empty cluster is an error of its own, not an empty list', () => {
    for (const pools of [[], named(['*'])]) {
      const error = thrown(() => iqnAnswer('mon', pools));
      expect(hasCode(error, 'pool-missing')).toBe(true);
      expect((error as Error).message).toContain('rbd pool init');
    }
  });
});

describe('images as LUNs', () => {
  test('both clients list every image with its name and size', () => {
    const { fault, stderr } = lunAnswer('pool', [
      { name: 'b', sizeBytes: 2 ** 50 },
      { name: 'a', sizeBytes: 0 },
    ]);
    expect(fault.faultCode).toBe(107);
    expect(xenCenterLuns(stderr)).toEqual([
      { lunId: 0, vendor: 'RADOS', serial: 'a', size: 0n, scsiId: 'a' },
      { lunId: 1, vendor: 'RADOS', serial: 'b', size: 2n ** 50n, scsiId: 'b' },
    ]);
    expect(xenOrchestraLuns(stderr)).toEqual([
      { id: '0', vendor: 'RADOS', serial: 'a', size: '0', scsiId: 'a' },
      { id: '1', vendor: 'RADOS', serial: 'b', size: String(2 ** 50), scsiId: 'b' },
    ]);
  });

  test('the order does not depend on the order the cluster tells them in', () => {
    const names = named(['c', 'B', 'a', '10', '9']);
    expect(lunAnswer('p', names.toReversed()).stderr).toBe(lunAnswer('p', names).stderr);
  });

  test('a name comes back as it is, or is left out with a line for the log', () => {
    const { stderr, leftOut } = lunAnswer('pool', named([...HOSTILE, ...GOOD]));
    const sorted = GOOD.toSorted((a, b) => (a < b ? -1 : 1));
    expect(xenCenterLuns(stderr).map(({ scsiId }) => scsiId)).toEqual(sorted);
    expect(xenOrchestraLuns(stderr).map(({ scsiId }) => scsiId)).toEqual(sorted);
    expect(leftOut).toHaveLength(HOSTILE.length);
  });

  test('any name at all', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ unit: 'binary', maxLength: 12 }), { minLength: 1, maxLength: 20 }),
        (names) => {
          const { stderr, leftOut } = lunAnswer('pool', named([...names, 'sure']));
          const listed = xenCenterLuns(stderr).map(({ scsiId }) => scsiId);
          expect(xenOrchestraLuns(stderr).map(({ scsiId }) => scsiId)).toEqual(listed);
          expect(listed.length + leftOut.length).toBe(names.length + 1);
          for (const name of listed) {
            expect([...names, 'sure']).toContain(name);
            checkMappable({ pool: 'pool', image: name });
          }
        },
      ),
      { numRuns: 500, seed: 6789 },
    );
  });

  test('ten thousand of them', () => {
    const { stderr } = lunAnswer('pool', named(Array.from({ length: 10_000 }, (_, index) => `image-${index}`)));
    expect(xenCenterLuns(stderr).map(({ lunId }) => lunId)).toEqual(
      Array.from({ length: 10_000 }, (_, index) => index),
    );
  });

  test('an empty pool is an error of its own', () => {
    const error = thrown(() => lunAnswer('a\nb', []));
    expect(hasCode(error, 'image-missing')).toBe(true);
    expect((error as Error).message).toContain('pool a\\x0ab has no image');
  });
});

test('what sr_probe answers with is a list of SRs to Xen Orchestra, the empty one as well', () => {
  expect(xenOrchestraSrs(xmlDocument('SRlist', []))).toEqual([]);
  const uuid = '11111111-2222-3333-4444-555555555555';
  expect(xenOrchestraSrs(xmlDocument('SRlist', [['SR', [['UUID', uuid]]]]))).toEqual([uuid]);
});
