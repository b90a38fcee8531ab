import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeRequest } from '../../../src/sm/protocol/request.ts';
import { requestText } from './request-text.ts';

/** xapi's own bytes for a vdi_create (xen-api `sm_exec.ml`): untyped strings, `<value/>`, no declaration. */
const VDI_CREATE =
  '<methodCall><methodName>vdi_create</methodName><params><param><value><struct>' +
  '<member><name>host_ref</name><value>OpaqueRef:H</value></member>' +
  '<member><name>command</name><value>vdi_create</value></member>' +
  '<member><name>args</name><value><array><data><value>10737418240</value><value>disk 0</value><value/>' +
  '<value/><value>false</value><value>19700101T00:00:00Z</value><value/><value>false</value></data></array></value></member>' +
  '<member><name>device_config</name><value><struct><member><name>SRmaster</name><value>true</value></member>' +
  '<member><name>target</name><value>10.0.0.11</value></member><member><name>port</name><value>6789</value></member>' +
  '<member><name>targetIQN</name><value>xenpool</value></member><member><name>SCSIid</name><value>xen1</value></member></struct></value></member>' +
  '<member><name>session_ref</name><value>OpaqueRef:S</value></member>' +
  '<member><name>sr_ref</name><value>OpaqueRef:R</value></member>' +
  '<member><name>vdi_type</name><value>user</value></member>' +
  '<member><name>sr_uuid</name><value>11111111-2222-3333-4444-555555555555</value></member>' +
  '<member><name>vdi_sm_config</name><value><struct/></value></member>' +
  '<member><name>subtask_of</name><value>DummyRef:|5d2f|VDI.create</value></member>' +
  '</struct></value></param></params></methodCall>';

test('what xapi sends', () => {
  const request = decodeRequest([VDI_CREATE]);
  expect({ ...request, deviceConfig: { ...request.deviceConfig }, vdiSmConfig: { ...request.vdiSmConfig } }).toEqual({
    command: 'vdi_create',
    args: ['10737418240', 'disk 0', '', '', 'false', '19700101T00:00:00Z', '', 'false'],
    deviceConfig: { target: '10.0.0.11', port: '6789', targetIQN: 'xenpool', SCSIid: 'xen1' },
    srMaster: true,
    hostRef: 'OpaqueRef:H',
    session: 'OpaqueRef:S',
    srRef: 'OpaqueRef:R',
    srUuid: '11111111-2222-3333-4444-555555555555',
    vdiType: 'user',
    vdiSmConfig: {},
    subtaskOf: 'DummyRef:|5d2f|VDI.create',
    vdiAllowCaching: false,
  });
});

test('a key named like a property of every object is only a key', () => {
  const request = decodeRequest([requestText('sr_probe', { device_config: { SRmaster: 'true', constructor: 'x' } })]);
  expect(Object.keys(request.deviceConfig)).toEqual(['constructor']);
  expect(request.deviceConfig['toString']).toBeUndefined();
});

describe('what is not a request', () => {
  test.each([
    [
      'another methodName',
      VDI_CREATE.replace('<methodName>vdi_create', '<methodName>vdi_delete'),
      /command has the wrong shape/,
    ],
    ['no params', '<methodCall><methodName>sr_scan</methodName><params></params></methodCall>', /one struct.*none/],
    [
      'a text',
      '<methodCall><methodName>a</methodName><params><param><value>x</value></param></params></methodCall>',
      /one struct/,
    ],
    ['an array of structs in args', requestText('sr_scan', { args: [{}] }), /args.*array of strings/],
    ['a nested device_config', requestText('sr_scan', { device_config: { password: { a: 'hunter2' } } }), /password/],
  ])('%s', (_what, text, says) => {
    const decode = () => decodeRequest([text]);
    expect(decode).toThrow(expect.objectContaining({ code: 'bad-request', message: expect.stringMatching(says) }));
    expect(decode).not.toThrow(/hunter2/);
  });

  test('anything at all: an answer or a bad-request', () => {
    const piece = fc.constantFrom(
      '<struct>',
      '</struct>',
      '<member>',
      '<name>args</name>',
      '</value>',
      '<value>',
      'x',
      '&lt;',
      '<!--',
    );
    const document = fc.array(piece, { maxLength: 30 }).map((pieces) => {
      const at = VDI_CREATE.indexOf('<struct>');
      return VDI_CREATE.slice(0, at) + pieces.join('') + VDI_CREATE.slice(at);
    });
    fc.assert(
      fc.property(fc.oneof(fc.string(), document), (text) => {
        try {
          return typeof decodeRequest([text]).command === 'string';
        } catch (error) {
          return error instanceof Error && 'code' in error && error.code === 'bad-request';
        }
      }),
    );
  });
});
