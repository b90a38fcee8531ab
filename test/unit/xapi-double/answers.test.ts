import { chmodSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { readAnswer } from '../../../lab/xapi-double/answer.ts';
import { send } from '../../../lab/xapi-double/driver.ts';
import { callPlugin } from '../../../lab/xapi-double/plugin-call.ts';
import { doubleProfile } from '../../../lab/xapi-double/profile.ts';
import { srScan } from '../../../lab/xapi-double/sr-operations.ts';
import { encodeResponse } from '../../../src/xmlrpc/encode.ts';
import type { XmlRpcValue } from '../../../src/xmlrpc/value.ts';
import { type Behaviour, startSrPool } from './fixture.ts';

let pool: Awaited<ReturnType<typeof startSrPool>>;
let cleanUp: () => Promise<void> = async () => {};
beforeAll(async () => {
  pool = await startSrPool((act) => {
    cleanUp = act;
  });
});
afterAll(async () => cleanUp());
beforeEach(() => {
  pool.behave({});
  pool.requests();
  pool.double.offences.splice(0);
});

const answer = (value: XmlRpcValue) => readAnswer({ stdout: encodeResponse(value), stderr: '', code: 0 }, {});

test.each([
  ['a unit that is a text', () => answer('').unit()],
  ['a text that is nil', () => answer(null).text()],
  ['a VDI without a uuid', () => answer({ location: 'l' }).vdi()],
  ['a VDI with a member that is no text', () => answer({ location: 'l', uuid: 'u', size: 1 }).vdi()],
  ['an attach answer of 8.2 without params', () => answer({ params_nbd: '' }).attach(doubleProfile('8.2'))],
  ['an attach answer of 8.3 without params_nbd', () => answer({ params: '' }).attach(doubleProfile('8.3a'))],
  ['an o_direct that is a text', () => answer({ params: '', o_direct: 'true' }).attach(doubleProfile('8.2'))],
  [
    'xenstore_data that holds a number',
    () => answer({ params: '', xenstore_data: { a: 1 } }).attach(doubleProfile('8.2')),
  ],
  [
    'driver information without a vendor',
    () => answer({ name: 'n', capabilities: [], configuration: [] }).driverInfo(),
  ],
])('%s is refused', (_what, read) => {
  expect(read).toThrow('SR_BACKEND_FAILURE');
});

test.each<[string, Behaviour, unknown]>([
  ['a number xapi knows', { fault: [24, 'in use'] }, { description: ['VDI_IN_USE'] }],
  [
    'a number it does not know',
    { fault: [141, 'no'], stderr: 'E' },
    { description: ['SR_BACKEND_FAILURE_141', '', 'no', 'E'] },
  ],
  [
    'an exit status',
    { exit: 3, stdout: 'out', stderr: 'E' },
    { description: ['SR_BACKEND_FAILURE', 'non-zero exit', 'out\n', 'E'] },
  ],
  ['no XML', { stdout: 'Traceback' }, { code: 'SR_BACKEND_FAILURE' }],
  ['two documents', { stdout: '<methodResponse/><methodResponse/>' }, { code: 'SR_BACKEND_FAILURE' }],
  ['attributes', { stdout: '<methodResponse a="b"/>' }, { code: 'SR_BACKEND_FAILURE' }],
  ['a text where nil belongs', { value: 'done' }, { code: 'SR_BACKEND_FAILURE' }],
])('%s', async (_what, behaviour, expected) => {
  const { double, sr, behave } = pool;
  behave({ sr_scan: behaviour });
  await expect(srScan(double, sr)).rejects.toMatchObject(expected as object);
});

test.each([
  ['a whole map', ['SR.set_sm_config', ['$sr_ref', { a: 'b' }]], 'SR.set_sm_config'],
  ['the session', ['session.logout', []], 'session.logout'],
])('%s is an offence', async (_what, [method, params], call) => {
  const { double, sr, behave } = pool;
  behave({ sr_scan: { calls: [[method as string, params as unknown[]]] } });
  await srScan(double, sr);
  expect(double.offences).toMatchObject([{ call }]);
});

test.each<[string, string, readonly unknown[], string]>([
  ['an unknown call', 'SR.frobnicate', ['$sr_ref'], 'MESSAGE_METHOD_UNKNOWN'],
  ['an unknown field', 'VDI.set_colour', ['x', 'y'], 'MESSAGE_METHOD_UNKNOWN'],
  ['too few arguments', 'SR.set_physical_size', ['$sr_ref'], 'MESSAGE_PARAMETER_COUNT_MISMATCH'],
  ['a size that is a number', 'SR.set_physical_size', ['$sr_ref', 7], 'FIELD_TYPE_ERROR'],
  ['a field that is fixed', 'SR.set_uuid', ['$sr_ref', 'x'], 'MESSAGE_METHOD_UNKNOWN'],
  ['no such object', 'SR.get_record', ['OpaqueRef:x'], 'HANDLE_INVALID'],
  ['another SR', 'SR.set_physical_size', ['$other', '7'], 'RBAC_PERMISSION_DENIED'],
  ['db_introduce with too few arguments', 'VDI.db_introduce', ['u', '', ''], 'MESSAGE_PARAMETER_COUNT_MISMATCH'],
])('%s is refused', async (_what, method, params, code) => {
  const { double, sr, behave } = pool;
  const other = double.db.create('SR', { type: 'stock' }).ref;
  const real = params.map((param) => (param === '$other' ? other : param));
  behave({ sr_scan: { calls: [[method, real]] } });
  await expect(srScan(double, sr)).rejects.toThrow(code);
});

test('Async.SR.update runs sr_update later', async () => {
  const { double, sr, behave, requests } = pool;
  behave({ sr_scan: { calls: [['Async.SR.update', ['$sr_ref']]] } });
  await srScan(double, sr);
  await double.settled();
  expect(
    requests()
      .map(({ command }) => command)
      .sort(),
  ).toEqual(['sr_scan', 'sr_update', 'sr_update']);
  expect(double.db.all('task')).toMatchObject([{ fields: { status: 'success' } }]);
});

test('send passes exactly what it is given', async () => {
  const { double, driver, requests } = pool;
  const { code } = await send(double, double.master.ref, driver, 'sr_scan', { args: [], device_config: {}, odd: 'x' });
  await send(double, double.master.ref, driver, 'sr_scan', { args: [] }, { session: false });
  expect(code).toBe(0);
  expect(requests().map((request) => Object.keys(request))).toEqual([
    ['host_ref', 'command', 'session_ref', 'args', 'device_config', 'odd'],
    ['host_ref', 'command', 'args'],
  ]);
});

test.each([
  ['echo "$1" | grep -q "<methodName>ping</methodName>" && ok pong', { value: 'pong' }],
  ['fail "XENAPI_PLUGIN_FAILURE"', { failure: ['XENAPI_PLUGIN_FAILURE'] }],
  ['echo no; exit 3', { failure: ['XENAPI_PLUGIN_FAILURE', 'non-zero exit', '', 'no\n', ''] }],
  [
    'echo "<methodResponse><params><param><value>x</value></param></params></methodResponse>"',
    { failure: ['XENAPI_PLUGIN_FAILURE', 'unparsable answer', expect.any(String)] },
  ],
])('a plug-in: %s', async (script, expected) => {
  const { double, driver } = pool;
  const struct = (members: string) =>
    `echo "<methodResponse><params><param><value><struct>${members}</struct></value></param></params></methodResponse>"`;
  const member = (name: string, value: string) => `<member><name>${name}</name><value>${value}</value></member>`;
  const path = join(dirname(driver), 'plug');
  const ok = struct(member('Status', 'Success') + member('Value', '$1'));
  const fail = struct(
    member('Status', 'Failure') + member('ErrorDescription', '<array><data><value>$1</value></data></array>'),
  );
  writeFileSync(path, `#!/bin/sh\nok() { ${ok}; }\nfail() { ${fail}; }\n${script}\n`);
  chmodSync(path, 0o755);
  expect(await callPlugin(double, double.master.ref, 'plug', 'ping', { a: 'b' })).toEqual(expected);
  expect(double.sessions.size).toBe(0);
});
