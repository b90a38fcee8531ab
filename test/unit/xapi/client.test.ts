import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { connectXapi, loginXapi, type Xapi } from '../../../src/xapi/client.ts';
import { isGone, isXapiFailure } from '../../../src/xapi/failure.ts';
import { startPool, startServer, temporaryDirectory } from './fixture.ts';

const SUCCESS =
  '<methodResponse><params><param><value><struct><member><name>Status</name><value>Success</value></member>' +
  '<member><name>Value</name><value>ü€</value></member></struct></value></param></params></methodResponse>';

function answer(body: string, headers = '', version = '1.1'): string {
  return `HTTP/${version} 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`;
}

function connect(socketPath: string, ms = 10_000): Xapi {
  return connectXapi({ socketPath, session: 'OpaqueRef:sesame', deadline: Deadline.after(ms) });
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

test('calls go over the UNIX socket with the session and the task', async () => {
  const { double, socketPath, sr } = await startPool();
  const [session = ''] = double.sessions.keys();
  const xapi = connectXapi({
    socketPath,
    session,
    subtaskOf: 'DummyRef:|5d2f|VDI.create',
    deadline: Deadline.after(9000),
  });
  expect(await xapi.call('SR.get_name_label', sr)).toBe('ceph');
  expect(double.calls).toEqual([
    { method: 'SR.get_name_label', params: [session, sr], subtaskOf: 'DummyRef:|5d2f|VDI.create' },
  ]);
  xapi.close();
});

test('host:port goes over TCP', async () => {
  const { double, sr } = await startPool();
  const [session = ''] = double.sessions.keys();
  const xapi = connectXapi({ socketPath: double.tcpAddress ?? '', session, deadline: Deadline.after(9000) });
  expect(await xapi.call('SR.get_name_label', sr)).toBe('ceph');
  xapi.close();
});

test('a session of our own is opened and ended', async () => {
  const { double, socketPath } = await startPool();
  const before = double.sessions.size;
  const xapi = await loginXapi({ socketPath, deadline: Deadline.after(9000) });
  expect(double.sessions.size).toBe(before + 1);
  expect(await xapi.call('host.get_all')).toEqual(double.hosts.map(({ ref }) => ref));
  await xapi.logout();
  expect(double.sessions.size).toBe(before);
  expect(double.offences).toEqual([]);
});

test("xapi's refusal carries its code and parameters", async () => {
  const { xapi } = await startPool();
  const error = await failure(xapi.call('VDI.get_record', 'OpaqueRef:nothing'));
  expect(error).toMatchObject({
    code: 'xapi-failure',
    detail: { facts: { method: 'VDI.get_record', xapiCode: 'HANDLE_INVALID', xapiDetail: 'VDI | OpaqueRef:nothing' } },
  });
  expect([isGone(error), isXapiFailure(error, 'HANDLE_INVALID'), isXapiFailure(error, 'MAP_DUPLICATE_KEY')]).toEqual([
    true,
    true,
    false,
  ]);
});

test('the session is not in the message', async () => {
  const { socketPath } = await startPool();
  const error = await failure(connect(socketPath).call('host.get_all'));
  expect(error).toMatchObject({ detail: { facts: { xapiCode: 'SESSION_INVALID', xapiDetail: '***' } } });
  expect(String(error)).not.toContain('sesame');
});

test('one connection serves many calls, also at the same time and in pieces', async () => {
  let connections = 0;
  const path = await startServer((socket) => {
    connections += 1;
    socket.on('data', () => {
      const bytes = Buffer.from(answer(SUCCESS));
      for (let at = 0; at < bytes.length; at += 7) socket.write(bytes.subarray(at, at + 7));
    });
  });
  const xapi = connect(path);
  const values = await Promise.all(Array.from({ length: 30 }, async () => xapi.call('a.b')));
  expect([new Set(values), connections]).toEqual([new Set(['ü€']), 1]);
  xapi.close();
});

test.each([
  ['Connection: close', answer(SUCCESS, 'Connection: close\r\n')],
  ['HTTP/1.0', answer(SUCCESS, '', '1.0')],
  ['no length', `HTTP/1.0 200 OK\r\n\r\n${SUCCESS}`],
])('a server that closes after each answer (%s) gets a new connection', async (_what, bytes) => {
  let connections = 0;
  const path = await startServer((socket) => {
    connections += 1;
    socket.once('data', () => socket.end(bytes));
  });
  const xapi = connect(path);
  expect([await xapi.call('a.b'), await xapi.call('a.b'), connections]).toEqual(['ü€', 'ü€', 2]);
});

test('a kept connection that the server has closed is not used', async () => {
  let closed: Promise<unknown> = Promise.resolve();
  const path = await startServer((socket, connection) => {
    socket.once('data', () => {
      if (connection === 1) closed = new Promise((resolve) => socket.on('close', resolve));
      socket.write(answer(SUCCESS));
      if (connection === 1) socket.end();
    });
  });
  const xapi = connect(path);
  await xapi.call('a.b');
  await closed;
  expect(await xapi.call('a.b')).toBe('ü€');
  xapi.close();
});

test('nobody listening is xapi-unreachable and names the socket', async () => {
  const path = join(temporaryDirectory(), 'none');
  const error = await failure(connect(path).call('a.b'));
  expect(error).toMatchObject({ code: 'xapi-unreachable', detail: { found: 'ENOENT', facts: { socket: path } } });
  expect(String(error)).toContain(path);
});

test.each([
  ['a status', 'HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n'],
  ['no HTTP', 'SSH-2.0-OpenSSH_8.0\r\n\r\n'],
  ['half an answer', answer(SUCCESS).slice(0, -5)],
  ['half a head', 'HTTP/1.1 200 OK\r\nContent-'],
  ['nothing', ''],
  ['a mad length', 'HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n'],
  ['a transfer coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['an endless head', 'x'.repeat(70_000)],
])('%s instead of an answer is xapi-unreachable', async (_what, bytes) => {
  const path = await startServer((socket) => socket.once('data', () => socket.end(bytes)));
  expect(await failure(connect(path).call('a.b'))).toMatchObject({ code: 'xapi-unreachable' });
});

test.each([
  ['no XML', 'hello'],
  ['another document', '<methodCall><methodName>a</methodName></methodCall>'],
  ['a value that is no answer', SUCCESS.replace('Success', 'Maybe')],
])('%s in an answer is an xapi-failure', async (_what, body) => {
  const path = await startServer((socket) => socket.once('data', () => socket.end(answer(body))));
  expect(await failure(connect(path).call('a.b'))).toMatchObject({
    code: 'xapi-failure',
    detail: { facts: { xapiCode: 'UNEXPECTED_ANSWER' } },
  });
});

test('the deadline ends a call that is never answered, and those behind it', async () => {
  const path = await startServer(() => {});
  const xapi = connect(path, 150);
  const errors = await Promise.all([failure(xapi.call('a.b')), failure(xapi.call('a.b'))]);
  expect(errors).toMatchObject([{ code: 'deadline' }, { code: 'deadline' }]);
});

test('nothing is sent after the deadline', async () => {
  let connections = 0;
  const socketPath = await startServer(() => {
    connections += 1;
  });
  expect(await failure(connect(socketPath, 0).call('a.b'))).toMatchObject({ code: 'deadline' });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(connections).toBe(0);
});

test('a session of our own is ended also after the deadline', async () => {
  const { double, socketPath } = await startPool();
  const before = double.sessions.size;
  const own = await loginXapi({ socketPath, deadline: Deadline.after(300) });
  expect(double.sessions.size).toBe(before + 1);
  await new Promise((resolve) => setTimeout(resolve, 350));
  expect(await failure(own.call('pool.get_all'))).toMatchObject({ code: 'deadline' });
  await own.logout();
  expect(double.sessions.size).toBe(before);
});

/**
 * Listens with room for one waiting connection, accepts nothing before its stdin ends, then answers whoever asks
 * something.
 */
const BUSY_SERVER = `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(0)
print("ready", flush=True)
sys.stdin.read()
body = sys.argv[2].encode()
while True:
    c = s.accept()[0]
    if c.recv(65536): c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    c.close()
`;

test('a xapi whose queue of connections is full is asked until it takes one', async () => {
  const path = join(temporaryDirectory(), 'socket');
  const server = spawn('python3', ['-c', BUSY_SERVER, path, SUCCESS], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void server.kill('SIGKILL'));
  await once(server.stdout, 'data');
  const filler = createConnection(path);
  await once(filler, 'connect');
  const answered = connect(path).call('host.get_all');
  let settled = false;
  void answered.finally(() => (settled = true)).catch(() => {});
  await expect(connect(path, 200).call('host.get_all')).rejects.toMatchObject({
    code: 'xapi-unreachable',
    detail: { found: 'EAGAIN' },
  });
  expect(settled).toBe(false);
  filler.destroy();
  server.stdin.end();
  expect(await answered).toBe('ü€');
});

test('whoever undoes something waits for a xapi that is being restarted; nobody else does', async () => {
  const path = join(temporaryDirectory(), 'socket');
  const address = { socketPath: path, session: 'OpaqueRef:sesame', deadline: Deadline.after(20_000) };
  await expect(connectXapi(address).call('host.get_all')).rejects.toMatchObject({ detail: { found: 'ENOENT' } });
  const undone = connectXapi({ ...address, patient: true }).call('host.get_all');
  const real = await startServer((socket) => socket.once('data', () => socket.end(answer(SUCCESS))));
  symlinkSync(real, path);
  expect(await undone).toBe('ü€');
});
