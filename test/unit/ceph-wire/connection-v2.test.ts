import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import type { RbdsrError } from '../../../src/base/error.ts';
import { ByteReader } from '../../../src/ceph/wire/byte-reader.ts';
import { ByteWriter } from '../../../src/ceph/wire/byte-writer.ts';
import { Authorizer, SERVICE } from '../../../src/ceph/wire/cephx-authorizer.ts';
import { decrypt, encrypt } from '../../../src/ceph/wire/cephx-cipher.ts';
import type { WireMessage } from '../../../src/ceph/wire/connection.ts';
import { ADDRESS_TYPE, encodeAddressList, encodeEntityAddress } from '../../../src/ceph/wire/entity-address.ts';
import { encodeBanner, readBanner } from '../../../src/ceph/wire/v2/banner.ts';
import type { Frame } from '../../../src/ceph/wire/v2/framing.ts';
import type { PeerLine } from '../../../src/ceph/wire/v2/handshake.ts';
import { messageFrame } from '../../../src/ceph/wire/v2/message-frame.ts';
import { messengerV2 } from '../../../src/ceph/wire/v2/messenger-v2.ts';
import { plainFraming } from '../../../src/ceph/wire/v2/plain-framing.ts';
import { FRAME_TAG } from '../../../src/ceph/wire/v2/tags.ts';
import { Transcript } from '../../../src/ceph/wire/v2/transcript.ts';
import { failureOf } from '../../support/expect-error.ts';

// A daemon that says after the handshake what a real one does not say to order.

const KEY = Buffer.alloc(16, 5);
const HERE = { host: '127.0.0.1', port: 6800, nonce: 1 };
const MOST = 1024 * 1024;
const message = (tid: number): WireMessage => ({
  type: 43,
  version: 8,
  compatVersion: 3,
  tid,
  front: Buffer.from('front'),
  data: Buffer.from('data'),
});

let server: Server;
afterEach(() => server.close());

interface Outcome {
  readonly messages: readonly WireMessage[];
  readonly closed: RbdsrError | undefined;
  /** What the daemon got after the handshake. */
  readonly answers: readonly Frame[];
}

/** Opens a connection, is told `frames`, and waits for so many answers or for the end. */
async function told(frames: readonly Frame[], answersToWaitFor: number, missing = 0n): Promise<Outcome> {
  const answers: Frame[] = [];
  let enough = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    enough = resolve;
  });
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    const take = (frame: Frame): void => {
      answers.push(frame);
      if (answers.length === answersToWaitFor) enough();
    };
    // The other side goes when it has what it wants.
    void serve(socket, frames, missing, take).catch(() => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const messages: WireMessage[] = [];
  let closed: RbdsrError | undefined;
  const receiver = {
    message: (heard: WireMessage) => void messages.push(heard),
    closed: (error: RbdsrError) => {
      closed = error;
      enough();
    },
  };
  const ticket = {
    service: SERVICE.osd,
    sessionKey: KEY,
    secretId: 1n,
    sealed: Buffer.from('sealed'),
    expiresAtMs: Infinity,
    renewAtMs: Infinity,
  };
  const authorizer = new Authorizer(4711n, ticket);
  const within = { deadline: Deadline.after(5000) };
  const connection = await messengerV2(['crc']).toOsd({ ...HERE, port }, authorizer, receiver, within);
  await ended;
  connection.close();
  return { messages, closed, answers };
}

async function serve(
  socket: Socket,
  frames: readonly Frame[],
  missing: bigint,
  heard: (frame: Frame) => void,
): Promise<void> {
  const line: PeerLine = {
    read: async (length: number): Promise<Buffer> => {
      for (;;) {
        const bytes = socket.read(length) as Buffer | null;
        if (bytes !== null) return bytes;
        await once(socket, 'readable');
      }
    },
    write: (bytes: Buffer) => void socket.write(bytes),
  };
  const transcript = new Transcript(line);
  const say = (tag: number, control: Buffer, to = line): void =>
    to.write(plainFraming.encode({ tag, segments: [control] }));
  const hear = async (from = line): Promise<ByteReader> =>
    new ByteReader((await plainFraming.read(from, MOST)).segments[0] ?? Buffer.alloc(0), 'a frame');
  transcript.write(encodeBanner());
  say(
    FRAME_TAG.hello,
    new ByteWriter().u8(SERVICE.osd).raw(encodeEntityAddress(ADDRESS_TYPE.v2, HERE)).done(),
    transcript,
  );
  await readBanner(transcript, HERE);
  await hear(transcript);
  const request = await hear(transcript);
  request.skip(4 + 4 + 4 + 4 + 1 + 8 + 4 + 1 + 8, 'method, mode, ticket');
  request.blob('sealed');
  const proof = decrypt(KEY, request.blob('proof'), 'the proof');
  proof?.skip(1, 'version');
  const answer = new ByteWriter()
    .u8(1)
    .u64((proof?.u64('nonce') ?? 0n) + 1n)
    .done();
  const payload = new ByteWriter().blob(encrypt(KEY, answer)).done();
  say(FRAME_TAG.authDone, new ByteWriter().u64(4711).u32(1).blob(payload).done(), transcript);
  say(FRAME_TAG.authSignature, transcript.signature(KEY));
  transcript.check(KEY, (await hear()).rest(), HERE);
  await hear();
  const own = encodeAddressList(ADDRESS_TYPE.v2, HERE);
  const ident = new ByteWriter().raw(own).u64(0).u64(1).u64(0).u64(0).u64(1).u64(0).done();
  if (missing === 0n) say(FRAME_TAG.serverIdent, ident);
  else say(FRAME_TAG.identMissingFeatures, new ByteWriter().u64(missing).done());
  for (const frame of frames) line.write(plainFraming.encode(frame));
  for (;;) heard(await plainFraming.read(line, MOST));
}

test('messages arrive in their order, and each is acknowledged', async () => {
  const { messages, answers } = await told([messageFrame(message(1), 7n, 0n), messageFrame(message(2), 8n, 0n)], 2);
  expect(messages).toEqual([message(1), message(2)]);
  expect(answers.map(({ tag, segments }) => [tag, segments[0]?.readBigUInt64LE()])).toEqual([
    [FRAME_TAG.acknowledgement, 7n],
    [FRAME_TAG.acknowledgement, 8n],
  ]);
});

test('a keepalive is answered with its own time', async () => {
  const time = Buffer.from('12345678');
  const { answers } = await told([{ tag: FRAME_TAG.keepAlive, segments: [time] }], 1);
  expect(answers).toEqual([{ tag: FRAME_TAG.keepAliveAnswer, segments: [time] }]);
});

test.each([
  ['left out', 3n],
  ['said twice', 1n],
])('a message that is %s ends the connection', async (_what, seq) => {
  const { messages, closed } = await told([messageFrame(message(1), 1n, 0n), messageFrame(message(2), seq, 0n)], 9);
  expect(messages).toEqual([message(1)]);
  expect(closed?.code).toBe('monitor-unreachable');
  expect(closed?.message).toContain(`message ${seq} instead of 2`);
});

test('a frame that has no place in a conversation ends it', async () => {
  const { closed } = await told([{ tag: FRAME_TAG.hello, segments: [Buffer.alloc(8)] }], 9);
  expect(closed?.message).toContain(`frame ${FRAME_TAG.hello}`);
});

test('a frame longer than any answer ends it before anything of it is waited for', async () => {
  const { closed } = await told([{ tag: FRAME_TAG.message, segments: [Buffer.alloc(33 * 1024 * 1024)] }], 9);
  expect(closed?.code).toBe('control-plane-failed');
  expect(closed?.message).toContain('at most 33554432 bytes');
});

test('features that this side lacks are named', async () => {
  const error = await failureOf('cluster-incompatible', () => told([], 1, 2n ** 62n));
  expect(error.message).toContain('feature bits 62');
});
