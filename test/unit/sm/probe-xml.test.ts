import { expect, test } from 'vitest';
import { xmlDocument } from '../../../src/sm/protocol/probe-xml.ts';

test('an empty list is an empty element, as stock answers it', () => {
  expect(xmlDocument('SRlist', [])).toBe('<?xml version="1.0" ?>\n<SRlist/>\n');
});

test('elements are indented by tabs and texts are escaped', () => {
  expect(xmlDocument('rbd-pools', [['Pool', [['Name', 'a&b"c\r']]]])).toBe(
    '<?xml version="1.0" ?>\n<rbd-pools>\n\t<Pool>\n\t\t<Name>a&amp;b"c&#13;</Name>\n\t</Pool>\n</rbd-pools>\n',
  );
});

test('a text with brackets has sections of its own, whatever else is in it', () => {
  const of = (text: string) => /<Name>(.*)<\/Name>/su.exec(xmlDocument('pools', [['Name', text]]))?.[1];
  expect(of('a<b>&"c')).toBe('<![CDATA[a<b>&"c]]>');
  expect(of(']]>')).toBe('<![CDATA[]]]]><![CDATA[>]]>');
  expect(of('<\u0001\uD800')).toBe('<![CDATA[<\uFFFD\uFFFD]]>');
  expect(of('<\r')).toBe('&lt;&#13;');
});
