import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { iqnAnswer } from '../../../src/wizard/iqn-answer.ts';
import { lunAnswer } from '../../../src/wizard/lun-answer.ts';
import {
  XEN_ORCHESTRA_PARSERS,
  xenOrchestraLuns,
  xenOrchestraTargets,
} from '../../support/wizard-clients/xen-orchestra.ts';
import { xenCenterLuns } from '../../support/wizard-clients/xencenter.ts';

// The parser of Xen Orchestra counts references and gives up at the thousandth, in silence: an empty list.

const named = (names: readonly string[]): { name: string; sizeBytes: number }[] =>
  names.map((name) => ({ name, sizeBytes: 1 }));

/** So many names that begin so, in the order in which they are listed. */
function many(count: number, start: string): string[] {
  return Array.from({ length: count }, (_, index) => `${start}${String(index).padStart(5, '0')}`).sort();
}

/** Each alone and all of them thousands of times. */
const STARTS = [
  'plain',
  'a<b',
  'a>b',
  '<name>',
  '<<<>>>&&&',
  '</TGT>',
  '</LUN></iscsi-target>',
  '<!--',
  '-->',
  '<![CDATA[',
  ']]>',
  ']]]]><![CDATA[>',
  '<?xml?>',
  '<!DOCTYPE[<!ENTITY"c">]>',
  '&',
  '&amp;',
  '&amp;lt;',
  '&lt;',
  '&#60;',
  '&#x26;',
  '&quot;',
  '&apos;',
  '"',
  "'",
  '&b;',
  '&nbsp;',
  '__proto__',
  'constructor',
  '#text',
  'größe',
  '大きさ',
  '💾',
  '0x10',
  '1e3',
  '007',
  'true',
  '%s',
  '\\',
];

describe.each(Object.entries(XEN_ORCHESTRA_PARSERS))('the %s version of the parser', (_name, parser) => {
  test.each(STARTS)('six hundred names, twice each, that begin with %s come back as they are', (start) => {
    const names = many(600, start);
    const { stderr, leftOut } = lunAnswer('pool', named(names));
    expect(leftOut).toHaveLength(0);
    const luns = xenOrchestraLuns(stderr, parser);
    expect(luns.map(({ scsiId }) => scsiId)).toEqual(names);
    expect(luns.map(({ serial }) => serial)).toEqual(names);
  });

  test('and thousands of pools with all of them', () => {
    const names = STARTS.flatMap((start) => many(100, start)).sort();
    const { stderr, leftOut } = iqnAnswer('mon', named(names));
    expect(leftOut).toHaveLength(0);
    expect(xenOrchestraTargets(stderr, 'mon', parser).map(({ iqn }) => iqn)).toEqual(names);
  });

  test('and images of all of them with names as long as they can be', () => {
    const names = STARTS.flatMap((start) => many(10, start.repeat(300).slice(0, 1000)))
      .filter((name) => Buffer.byteLength(name) <= 1024)
      .sort();
    const { stderr, leftOut } = lunAnswer('pool', named(names));
    expect(leftOut).toHaveLength(0);
    expect(xenOrchestraLuns(stderr, parser).map(({ scsiId }) => scsiId)).toEqual(names);
    expect(xenCenterLuns(stderr).map(({ scsiId }) => scsiId)).toEqual(names);
  });

  test('a list of one, and an address with references', () => {
    for (const target of ['mon', 'a&b', '[fd00::1]']) {
      const { stderr } = iqnAnswer(target, named(['<one>']));
      expect(xenOrchestraTargets(stderr, target, parser)).toEqual([{ iqn: '<one>', ip: target }]);
    }
    expect(xenOrchestraLuns(lunAnswer('pool', named(['<one>'])).stderr, parser)).toHaveLength(1);
  });

  test('any name at all', () => {
    const names = fc.uniqueArray(fc.string({ unit: 'binary', maxLength: 40 }), { minLength: 1, maxLength: 20 });
    const marked = fc.uniqueArray(fc.stringMatching(/^[<>&;\]![CDAT#x0-9ltgamp"'/?-]{1,30}$/), { maxLength: 30 });
    fc.assert(
      fc.property(names, marked, (some, more) => {
        const { stderr } = lunAnswer('pool', named([...new Set([...some, ...more, 'sure'])]));
        const expected = xenCenterLuns(stderr).map(({ scsiId }) => scsiId);
        expect(xenOrchestraLuns(stderr, parser).map(({ scsiId }) => scsiId)).toEqual(expected);
        for (const name of expected) expect([...some, ...more, 'sure']).toContain(name);
      }),
      { numRuns: 500, seed: 6789 },
    );
  });
});
