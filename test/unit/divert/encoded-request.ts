import * as fc from 'fast-check';

// Requests in every way an XML-RPC client may write them: typed and untyped strings, white space between elements,
// character references.

/** A text as element content, some of its characters as references, with zeros, in decimal or in hexadecimal. */
function content(text: string): fc.Arbitrary<string> {
  const styles = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: text.length, maxLength: text.length });
  return styles.map((style) =>
    Array.from(text)
      .map((character, index) => spelled(character, style[index] ?? 0))
      .join(''),
  );
}

function spelled(character: string, style: number): string {
  const code = character.codePointAt(0) ?? 0;
  if (style === 0) return `&#${code};`;
  if (style === 1) return `&#x${code.toString(16)};`;
  if (style === 2) return `&#x00${code.toString(16).toUpperCase()};`;
  if (style === 3) return `&#000${code};`;
  return { '&': '&amp;', '<': '&lt;' }[character] ?? (character === '>' && style > 6 ? '&gt;' : character);
}

const gap = fc.constantFrom('', '', '', ' ', '\n', '\n\t');
const tagGap = fc.constantFrom('', '', '', ' ', '\n');

function element(name: string, inside: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(tagGap, inside, tagGap).map(([open, text, close]) => `<${name}${open}>${text}</${name}${close}>`);
}

function stringValue(text: string): fc.Arbitrary<string> {
  const typed = fc.tuple(gap, element('string', content(text)), gap).map((parts) => parts.join(''));
  const ways = [element('value', content(text)), element('value', typed)];
  return text === ''
    ? fc.oneof(...ways, fc.constantFrom('<value/>', '<value />', '<value><string/></value>'))
    : fc.oneof(...ways);
}

type Members = readonly (readonly [name: string, value: fc.Arbitrary<string>])[];

function structValue(members: Members): fc.Arbitrary<string> {
  const inside = members.map(([name, value]) =>
    fc
      .tuple(
        gap,
        element(
          'member',
          fc.tuple(gap, element('name', content(name)), gap, value, gap).map((parts) => parts.join('')),
        ),
      )
      .map((parts) => parts.join('')),
  );
  const struct = element(
    'struct',
    fc
      .tuple(
        fc.tuple(...inside).map((parts) => parts.join('')),
        gap,
      )
      .map((parts) => parts.join('')),
  );
  return element(
    'value',
    fc.tuple(gap, struct, gap).map((parts) => parts.join('')),
  );
}

function strings(record: Readonly<Record<string, string>>): fc.Arbitrary<string> {
  return structValue(Object.entries(record).map(([name, value]) => [name, stringValue(value)] as const));
}

const PORTS = [
  '6789',
  '6789',
  '6789',
  '3260',
  '16789',
  '67890',
  ' 6789',
  '6789 ',
  '06789',
  '+6789',
  '',
  'x6789',
  '6789\n',
  '６７８９',
];
const KEYS = ['port', 'port', 'port', 'Port', 'ports', 'xport', ' port', 'device_config', 'name'];

interface Draft {
  readonly port: string;
  readonly key: string;
  readonly section: string;
  readonly label: string;
  readonly elsewhere: string;
  readonly order: boolean;
  readonly declaration: string;
}

const draft: fc.Arbitrary<Draft> = fc.record({
  port: fc.constantFrom(...PORTS),
  key: fc.constantFrom(...KEYS),
  section: fc.constantFrom('device_config', 'device_config', 'device_config', 'sr_sm_config', 'driver_params'),
  label: fc.constantFrom(
    '6789',
    'disk 6789 >port<',
    '<name>port</name><value>6789</value>',
    '&#54;789',
    'größe 大',
    '',
  ),
  elsewhere: fc.constantFrom('6789', '3260', 'port'),
  order: fc.boolean(),
  declaration: fc.constantFrom('', "<?xml version='1.0'?>\n", '<?xml version="1.0" encoding="utf-8"?>'),
});

/**
 * A request whose struct `section` has the member `key` of the value `port`; elsewhere are other ports, and texts that
 * look like one.
 */
export const encodedRequest: fc.Arbitrary<string> = draft.chain(
  ({ port, key, section, label, elsewhere, order, declaration }) => {
    const odd = { target: label, [key]: port, SCSIid: elsewhere };
    const other = { port: elsewhere, device_config: elsewhere };
    const sections: Members = [
      [section, strings(odd)],
      [section === 'vdi_sm_config' ? 'driver_params' : 'vdi_sm_config', strings(other)],
    ];
    const members: Members = [
      ['command', stringValue('sr_attach')],
      [
        'args',
        element(
          'value',
          element(
            'array',
            element(
              'data',
              fc.tuple(stringValue(label), stringValue('6789')).map((v) => v.join('')),
            ),
          ),
        ),
      ],
      ...(order ? sections : sections.toReversed()),
      ['sr_ref', stringValue(elsewhere)],
    ];
    const params = element('params', element('param', structValue(members)));
    return element(
      'methodCall',
      params.map((text) => `<methodName>sr_attach</methodName>${text}`),
    ).map((text) => declaration + text);
  },
);
