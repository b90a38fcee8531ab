import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { RbdsrError } from '../../../src/base/error.ts';
import { decodeCall, decodeResponse } from '../../../src/xmlrpc/decode.ts';
import { XmlRpcDateTime } from '../../../src/xmlrpc/value.ts';

const call = (value: string): string =>
  `<methodCall><methodName>sr_scan</methodName><params><param>${value}</param></params></methodCall>`;
const one = (value: string): unknown => decodeCall(call(value)).params[0];

function refusal(read: () => unknown): RbdsrError {
  try {
    read();
  } catch (error) {
    if (error instanceof RbdsrError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

test("reads xapi's own encoding", () => {
  const document =
    '<methodCall><methodName>vdi_create</methodName><params><param><value><struct>' +
    '<member><name>args</name><value><array><data><value>10737418240</value><value>disk "0" &lt;&amp;&gt; ü€😀</value><value/></data></array></value></member>' +
    '<member><name>device_config</name><value><struct><member><name>SRmaster</name><value>true</value></member></struct></value></member>' +
    '<member><name>vdi_sm_config</name><value><struct/></value></member>' +
    '<member><name>none</name><value><array><data/></array></value></member>' +
    '<member><name>blank</name><value>  </value></member>' +
    '</struct></value></param></params></methodCall>';
  expect(decodeCall(document)).toEqual({
    method: 'vdi_create',
    params: [
      {
        args: ['10737418240', 'disk "0" <&> ü€😀', ''],
        device_config: { SRmaster: 'true' },
        vdi_sm_config: {},
        none: [],
        blank: '  ',
      },
    ],
  });
});

test("reads a Python client's encoding", () => {
  const document =
    "<?xml version='1.0'?>\n<methodCall>\n<methodName>vdi_attach_from_config</methodName>\n<params>\n<param>\n" +
    '<value><struct>\n<member>\n<name>sr_uuid</name>\n<value><string>u</string></value>\n</member>\n</struct></value>\n' +
    '</param>\n<param>\n<value><boolean>1</boolean></value>\n</param>\n<param>\n<value><i4>-7</i4></value>\n</param>\n' +
    '<param>\n<value><dateTime.iso8601>19700101T00:00:00Z</dateTime.iso8601></value>\n</param>\n<param><value><string/></value></param></params>\n</methodCall>\n';
  expect(decodeCall(document)).toEqual({
    method: 'vdi_attach_from_config',
    params: [{ sr_uuid: 'u' }, true, -7, new XmlRpcDateTime('19700101T00:00:00Z'), ''],
  });
});

test('a call may have no params', () => {
  expect(decodeCall('<methodCall><methodName>session.get_all</methodName></methodCall>').params).toEqual([]);
});

test('a member named __proto__ is a member like any other', () => {
  const value = one('<value><struct><member><name>__proto__</name><value>x</value></member></struct></value>');
  expect(Object.entries(value as object)).toEqual([['__proto__', 'x']]);
  expect(Object.getPrototypeOf(value)).toBeNull();
});

test('a refusal names line, column and member', () => {
  const error = refusal(() =>
    one(
      '\n<value><struct><member><name>args</name><value><array><data><value/>\n<value><int>geheim</int></value></data></array></value></member></struct></value>',
    ),
  );
  expect(error.code).toBe('bad-request');
  expect(error.message).toContain('params[0].args[1]');
  expect(error.detail.facts).toMatchObject({ line: 3 });
});

const SECRET = 'AQDgeheimnis';
test.each([
  ['an int', `<value><int>${SECRET}</int></value>`],
  ['an int that only Number takes', '<value><int>1e3</int></value>'],
  ['an int of 33 bits', '<value><int>2147483648</int></value>'],
  ['a boolean', `<value><boolean>${SECRET}</boolean></value>`],
  ['an unknown type', `<value><${SECRET}>x</${SECRET}></value>`],
  ['a type named as a method of objects', '<value><constructor>x</constructor></value>'],
  ['text beside a type', `<value>${SECRET}<string>x</string></value>`],
  ['two types', '<value><string>x</string><string>x</string></value>'],
  ['an element in a string', `<value><string><${SECRET}/></string></value>`],
  ['base64', `<value><base64>a=b</base64></value>`],
  ['nil with content', `<value><nil>${SECRET}</nil></value>`],
  ['a double', '<value><double>NaN</double></value>'],
  ['a time', `<value><dateTime.iso8601>${SECRET}</dateTime.iso8601></value>`],
  ['attributes', `<value a="${SECRET}">x</value>`],
  ['a comment', `<value>x<!--${SECRET}--></value>`],
  ['CDATA', `<value><![CDATA[${SECRET}]]></value>`],
  ['a processing instruction', `<value>x<?${SECRET} x?></value>`],
  ['an unknown entity', `<value>&${SECRET};</value>`],
  ['a character reference XML forbids', '<value>&#0;</value>'],
  ['a control character', `<value>${SECRET}\u0001</value>`],
  ['a wrong closing tag', `<value>x</${SECRET}></value>`],
  ['an unclosed tag', `<value><${SECRET}>`],
  ['a member without a value', `<value><struct><member><name>${SECRET}</name></member></struct></value>`],
  ['value before name', '<value><struct><member><value>x</value><name>n</name></member></struct></value>'],
  [
    'a member twice',
    '<value><struct><member><name>a</name><value/></member><member><name>a</name><value/></member></struct></value>',
  ],
  ['an array without data', '<value><array><value>x</value></array></value>'],
  ['text in an array', `<value><array><data>${SECRET}</data></array></value>`],
  ['no value', '<string>x</string>'],
  ['two values', '<value/><value/>'],
])('refuses %s without repeating it', (_what, value) => {
  const error = refusal(() => one(value));
  expect(error.code).toBe('bad-request');
  expect(error.message).not.toContain(SECRET);
  expect(error.message).toMatch(/line \d+, column \d+/);
});

test.each([
  ['nothing', ''],
  ['no XML', 'sr_scan'],
  ['another document', '<methodResponse/>'],
  ['no methodName', '<methodCall><params/></methodCall>'],
  ['an odd methodName', '<methodCall><methodName>a b</methodName></methodCall>'],
  ['two params', '<methodCall><methodName>a</methodName><params/><params/></methodCall>'],
  ['a document type', '<!DOCTYPE methodCall [<!ENTITY a "b">]><methodCall><methodName>a</methodName></methodCall>'],
  ['two documents', '<methodCall><methodName>a</methodName></methodCall><methodCall/>'],
])('refuses %s', (_what, document) => {
  expect(refusal(() => decodeCall(document)).code).toBe('bad-request');
});

test('depth and length are limited', () => {
  const deep = (levels: number): string =>
    `${'<value><array><data>'.repeat(levels)}<value/>${'</data></array></value>'.repeat(levels)}`;
  expect(one(deep(15))).toBeTypeOf('object');
  expect(refusal(() => one(deep(10_000))).message).toContain('nested deeper');
  expect(refusal(() => decodeCall(' '.repeat(2 ** 20 + 1))).message).toContain('too long');
});

test('whatever comes, the outcome is a value or a bad-request', () => {
  const parts = fc.constantFrom(
    '<methodCall>',
    '</methodCall>',
    '<methodName>',
    '</methodName>',
    '<params>',
    '</params>',
    '<param>',
    '</param>',
    '<value>',
    '</value>',
    '<value/>',
    '<struct>',
    '</struct>',
    '<member>',
    '</member>',
    '<name>',
    '</name>',
    '<array>',
    '<data/>',
    '</array>',
    '<int>',
    '</int>',
    'a',
    '1',
    ' ',
    '&',
    '&lt;',
    '<',
    '>',
    '<!--',
    '<?xml version="1.0"?>',
    '<![CDATA[',
    ']]>',
    '\u0000',
    '\uD800',
  );
  fc.assert(
    fc.property(
      fc.array(parts, { maxLength: 30 }).map((found) => found.join('')),
      (document) => {
        for (const read of [decodeCall, decodeResponse]) {
          try {
            read(document);
          } catch (error) {
            expect(error).toMatchObject({ code: 'bad-request' });
          }
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test("reads xapi's answers and faults", () => {
  const answer =
    '<methodResponse><params><param><value><struct><member><name>Status</name><value>Success</value></member><member><name>Value</name><value/></member></struct></value></param></params></methodResponse>';
  expect(decodeResponse(answer)).toEqual({ value: { Status: 'Success', Value: '' } });
  const fault =
    '<methodResponse><fault><value><struct><member><name>faultCode</name><value><i4>-1</i4></value></member><member><name>faultString</name><value>no</value></member></struct></value></fault></methodResponse>';
  expect(decodeResponse(fault)).toEqual({ fault: { faultCode: -1, faultString: 'no' } });
  expect(refusal(() => decodeResponse('<methodResponse><fault><value>x</value></fault></methodResponse>')).code).toBe(
    'bad-request',
  );
});
