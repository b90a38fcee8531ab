import { expect, test } from 'vitest';
import { openDriverSession } from '../../../lab/xapi-double/double.ts';
import { Deadline } from '../../../src/base/deadline.ts';
import { LastingSession } from '../../../src/xapi/lasting-session.ts';
import { startPool } from './fixture.ts';

const refused = { code: 'xapi-failure', detail: { facts: { xapiCode: 'SESSION_INVALID' } } };

/** A connection with xapi's session for one run of a driver, which `finish` ends as xapi does. */
async function driverRun() {
  const { double, socketPath, sr } = await startPool();
  const { ref } = openDriverSession(double.sessions, sr);
  const given = { ref, known: false };
  const address = { socketPath, subtaskOf: 'DummyRef:|5d2f|VDI.activate', deadline: Deadline.after(20_000) };
  const connect = (): LastingSession => new LastingSession(address, given);
  const finish = (): boolean => double.sessions.delete(ref);
  return { double, sr, connect, finish };
}

test('calls go on after xapi has ended the session, by one log-in, and end with what is ours', async () => {
  const { double, sr, connect, finish } = await driverRun();
  const xapi = connect();
  expect(await xapi.call('SR.get_name_label', sr)).toBe('ceph');
  finish();
  const before = double.sessions.size;
  const labels = await Promise.all([1, 2, 3].map(() => xapi.call('SR.get_name_label', sr)));
  expect(labels).toEqual(['ceph', 'ceph', 'ceph']);
  expect(double.calls.filter(({ method }) => method === 'session.login_with_password')).toHaveLength(1);
  expect(double.sessions.size).toBe(before + 1);
  // A task that xapi has ended with the command takes no more calls.
  expect(double.calls.at(-1)?.subtaskOf).toBeUndefined();
  await xapi.end();
  expect(double.sessions.size).toBe(before);
});

test('another connection of the same call does, too', async () => {
  const { sr, connect, finish } = await driverRun();
  const first = connect();
  await first.call('SR.get_name_label', sr);
  await first.end();
  finish();
  const undo = connect();
  expect(await undo.call('SR.get_name_label', sr)).toBe('ceph');
  await undo.end();
});

test('it logs in again where its own session is ended', async () => {
  const { double, sr, connect, finish } = await driverRun();
  const xapi = connect();
  await xapi.call('SR.get_name_label', sr);
  finish();
  await xapi.call('SR.get_name_label', sr);
  double.sessions.clear();
  expect(await xapi.call('SR.get_name_label', sr)).toBe('ceph');
  await xapi.end();
});

test('a session that xapi has never known is refused', async () => {
  const { double, sr, connect, finish } = await driverRun();
  finish();
  const xapi = connect();
  await expect(xapi.call('SR.get_name_label', sr)).rejects.toMatchObject(refused);
  await expect(xapi.call('SR.get_name_label', sr)).rejects.toMatchObject(refused);
  expect(double.calls.map(({ method }) => method)).not.toContain('session.login_with_password');
  await xapi.end();
});

test('what xapi refuses for another reason is not made again', async () => {
  const { double, sr, connect } = await driverRun();
  const xapi = connect();
  await xapi.call('SR.get_name_label', sr);
  await expect(xapi.call('SR.get_name_label', 'OpaqueRef:nothing')).rejects.toMatchObject({ code: 'xapi-failure' });
  expect(double.calls).toHaveLength(2);
  await xapi.end();
});
