import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { encodeCall, encodeFault, encodeResponse } from '../../../src/xmlrpc/encode.ts';
import { XmlRpcDateTime, XmlRpcDouble } from '../../../src/xmlrpc/value.ts';

/** What a stock driver, a Python program, prints. */
function python(expression: string): string {
  const program = `import xmlrpc.client as x\nprint(x.dumps(${expression}, methodresponse=True, allow_none=True))`;
  const { stdout, status, stderr } = spawnSync('python3', ['-c', program], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

test.each([
  ['nil', null, '(None,)'],
  ['a text', '<a & "b">', '(\'<a & "b">\',)'],
  ['an empty text', '', "('',)"],
  ['a VDI', { location: 'l', uuid: 'u' }, "({'location': 'l', 'uuid': 'u'},)"],
  [
    'an attach answer',
    {
      params: '/dev/x',
      o_direct: true,
      o_direct_reason: 'R',
      xenstore_data: { 'scsi/0x12/default': 'AA==' },
      none: {},
    },
    "({'params': '/dev/x', 'o_direct': True, 'o_direct_reason': 'R', 'xenstore_data': {'scsi/0x12/default': 'AA=='}, 'none': {}},)",
  ],
  [
    'driver information',
    { name: 'n', capabilities: ['A', 'B'], none: [], configuration: [{ key: 'k', description: 'd' }] },
    "({'name': 'n', 'capabilities': ['A', 'B'], 'none': [], 'configuration': [{'key': 'k', 'description': 'd'}]},)",
  ],
  ['numbers', [1, -2, new XmlRpcDouble(1.5), null], '([1, -2, 1.5, None],)'],
  ['a time', new XmlRpcDateTime('19700101T00:00:00Z'), "(x.DateTime('19700101T00:00:00Z'),)"],
])("%s is answered with Python's bytes", (_what, value, expression) => {
  expect(encodeResponse(value)).toBe(python(expression));
});

test("a fault is answered with Python's bytes", () => {
  expect(encodeFault({ faultCode: 96, faultString: 'missing [opterr=<x>]' })).toBe(
    python("x.Fault(96, 'missing [opterr=<x>]')"),
  );
});

test("a call is written in xapi's compact form", () => {
  expect(encodeCall('SR.add_to_sm_config', ['OpaqueRef:S', '', 'a<b', true, [], {}, { k: 'v' }, ['x']])).toBe(
    '<methodCall><methodName>SR.add_to_sm_config</methodName><params><param><value>OpaqueRef:S</value></param><param><value/></param>' +
      '<param><value>a&lt;b</value></param><param><value><boolean>1</boolean></value></param><param><value><array><data/></array></value></param>' +
      '<param><value><struct/></value></param><param><value><struct><member><name>k</name><value>v</value></member></struct></value></param>' +
      '<param><value><array><data><value>x</value></data></array></value></param></params></methodCall>',
  );
});

test.each([[1.5], [2 ** 31], [Number.NaN], [new XmlRpcDouble(Number.POSITIVE_INFINITY)]])('%s is refused', (value) => {
  expect(() => encodeResponse(value)).toThrow(expect.objectContaining({ code: 'internal' }) as Error);
});
