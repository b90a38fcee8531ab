import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { requestText } from '../sm/request-text.ts';
import { encodedRequest } from './encoded-request.ts';
import { pythons } from './pythons.ts';
import { COMMANDS, DRIVER_INFO, ISCSI, RBD, sr } from './requests.ts';
import { ownVerdict, Verdicts } from './verdicts.ts';

const verdicts = new Verdicts();
afterAll(() => verdicts[Symbol.dispose]());

const call = (deviceConfig: string): string =>
  `<methodCall><methodName>sr_scan</methodName><params><param><value><struct><member><name>device_config</name><value><struct>${deviceConfig}</struct></value></member></struct></value></param></params></methodCall>`;
const port = (value: string): string => call(`<member><name>port</name>${value}</member>`);

const OURS = {
  'an untyped string': port('<value>6789</value>'),
  'a typed string': port('<value><string>6789</string></value>'),
  'white space between elements': port('\n <value>\n <string>6789</string>\n</value>\n'),
  'white space in tags': call('<member ><name >port</name ><value >6789</value ></member >'),
  'a reference': port('<value>&#54;789</value>'),
  'references in hexadecimal': port('<value>&#x36;7&#x0038;&#57;</value>'),
  'references in the name': call('<member><name>&#112;&#x6f;r&#x74;</name><value>6789</value></member>'),
  'a port behind other members': sr('sr_attach', { target: 'a', targetIQN: '<b>&"', SCSIid: '>', port: '6789' }),
  'a long label before': requestText('vdi_create', { args: ['1', 'x'.repeat(100_000)], device_config: RBD }),
};

const STOCK = {
  'another port': port('<value>3260</value>'),
  'a longer port': port('<value>16789</value>'),
  'another longer port': port('<value>67890</value>'),
  'white space in the value': port('<value> 6789</value>'),
  'an empty port': port('<value/>'),
  'an empty port beside a hidden one': port('<value><string/></value>').replace('sr_scan', '6789'),
  'another member': call('<member><name>xport</name><value>6789</value></member>'),
  'a value that looks like one': sr('sr_attach', { ...ISCSI, target: '<name>port</name><value>6789</value>' }),
  'the number in a uuid': sr('sr_attach', ISCSI).replaceAll('1111', '6789'),
  'another struct of the request': sr('sr_attach', ISCSI).replace(
    '<member><name>sr_ref</name>',
    '<member><name>sr_sm_config</name><value><struct><member><name>port</name><value>6789</value></member></struct></value></member><member><name>sr_ref</name>',
  ),
  'no device_config': DRIVER_INFO,
  'a word': '6789',
};

describe.each(['/bin/dash', '/bin/bash'])('%s', (shell) => {
  test.each(Object.entries(OURS))('ours: %s', (_what, document) => {
    expect(verdicts.sh(shell, document)).toBe('ours');
  });
  test.each(Object.entries(STOCK))('not ours: %s', (_what, document) => {
    expect(verdicts.sh(shell, document)).toBe('stock');
  });
  test.each([
    ['a comment', port('<value>67<!-- -->89</value>')],
    ['a CDATA section', port('<value><![CDATA[67]]>89</value>')],
    ['a number', port('<value><int> 6789 </int></value>')],
  ])('in doubt, ours: %s', (_what, document) => {
    expect(verdicts.sh(shell, document)).toBe('ours');
  });

  test.each(COMMANDS)('goes by the port: %s', (command) => {
    expect(verdicts.sh(shell, sr(command, RBD))).toBe('ours');
    expect(verdicts.sh(shell, sr(command, ISCSI))).toBe('stock');
  });

  test('decides as the parser of RBDSR does, however the request is written', () => {
    fc.assert(
      fc.property(encodedRequest, (document) => {
        const own = ownVerdict(document);
        expect(own).toBeDefined();
        expect(verdicts.sh(shell, document)).toBe(own);
      }),
      { numRuns: 250, seed: 6789 },
    );
  });
});

test('RBDSR itself decides by the port, for every command', () => {
  for (const command of COMMANDS) {
    expect(ownVerdict(sr(command, RBD))).toBe('ours');
    expect(ownVerdict(sr(command, ISCSI))).toBe('stock');
  }
  for (const [what, document] of Object.entries(OURS)) {
    expect(ownVerdict(document), what).toBe('ours');
  }
});

test('the generator makes both kinds', () => {
  const found = new Set(fc.sample(encodedRequest, { numRuns: 200, seed: 1 }).map(ownVerdict));
  expect(found).toEqual(new Set(['ours', 'stock']));
});

test.each(pythons())('Python $version decides as the parser of RBDSR does', ({ program }) => {
  const documents = fc.sample(encodedRequest, { numRuns: 500, seed: 7 });
  expect(verdicts.python(program, documents)).toEqual(documents.map(ownVerdict));
  const ours = Object.values(OURS);
  expect(verdicts.python(program, ours)).toEqual(ours.map(() => 'ours'));
  const stock = [...Object.values(STOCK), '<broken>6789', port('<value>6789')];
  expect(verdicts.python(program, stock)).toEqual(stock.map(() => 'stock'));
});
