import { expect, test } from 'vitest';
import { xmlDocument } from '../../../src/sm/protocol/probe-xml.ts';

test('an empty list is an empty element, as stock answers it', () => {
  expect(xmlDocument('SRlist', [])).toBe('<?xml version="1.0" ?>\n<SRlist/>\n');
});

test('elements are indented by tabs and texts are escaped', () => {
  expect(xmlDocument('rbd-pools', [['Pool', [['Name', 'a<b>&"c']]]])).toBe(
    '<?xml version="1.0" ?>\n<rbd-pools>\n\t<Pool>\n\t\t<Name>a&lt;b&gt;&amp;"c</Name>\n\t</Pool>\n</rbd-pools>\n',
  );
});
