import { expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { ByteReader } from '../../../src/ceph/wire/byte-reader.ts';
import { ByteWriter } from '../../../src/ceph/wire/byte-writer.ts';
import type { WireMessage, Messenger, Receiver } from '../../../src/ceph/wire/connection.ts';
import { MESSAGE, plainMessage } from '../../../src/ceph/wire/mon-messages.ts';
import { statObject, type Target } from '../../../src/ceph/wire/osd-messages.ts';
import { OsdSession } from '../../../src/ceph/wire/osd-session.ts';
import { peerLost } from '../../../src/ceph/wire/peer-failure.ts';
import { failureOf } from '../../support/expect-error.ts';
import { TICKET } from './sample-ticket.ts';

// Messengers that do what an OSD may do to an operation that has no answer yet. Each time it is sent again it has to be
// the same to the OSD: the real one answers from its log then (test/host/ceph/native-plane.test.ts).

interface Sent {
  readonly osd: string;
  readonly identity: string;
  readonly epoch: number;
  readonly isRetry: boolean;
  /** Of the OSD, as its address has it. */
  readonly life: number;
}

const place = { pool: 1, namespace: '', object: 'rbd_directory' };
/** Each login is another client, as after a monitor was lost. */
function monitors() {
  let globalId = 4100n;
  return { ticket: async () => ({ globalId: (globalId += 1n), ticket: TICKET }) };
}

function session(
  react: (sent: Sent, turn: number, receiver: Receiver, message: WireMessage) => void,
  targets: readonly Target[],
) {
  const all: Sent[] = [];
  let asked = 0;
  /** How often the addresses were doubted: each time the OSDs have been started anew, without a word. */
  let lives = 1;
  const messenger: Messenger = {
    toMonitor: () => Promise.reject(new Error('no monitor')),
    toOsd: async ({ host, nonce }, _authorizer, receiver) => ({
      send: (message) => {
        if (message.type !== MESSAGE.osdOperation) return;
        const sent = { ...sentOf(host, message), life: nonce };
        all.push(sent);
        queueMicrotask(() => react(sent, all.length, receiver, message));
      },
      close: () => undefined,
    }),
  };
  const whereabouts = {
    target: async () => targets[Math.min(asked, targets.length - 1)] ?? OLD,
    address: async (osd: number) => ({ host: `osd.${osd}`, port: 6801, nonce: lives }),
    doubt: (about?: unknown) => void (about === undefined ? (lives += 1) : (asked += 1)),
  };
  const osds = new OsdSession(monitors(), messenger, whereabouts);
  return { all, operate: (ms = 8000) => osds.operate(place, [statObject], 'write', Deadline.after(ms)) };
}

const OLD: Target = { osd: 0, epoch: 10, hash: 7, group: 7 };
const NEW: Target = { osd: 1, epoch: 11, hash: 7, group: 7 };

test('after a lost connection', async () => {
  const { all, operate } = session(
    (_sent, turn, receiver, message) => {
      if (turn === 1) receiver.closed(peerLost({ host: 'osd.0', port: 6801 }, 'lost', 'ECONNRESET'));
      else receiver.message(answered(message));
    },
    [OLD],
  );
  expect((await operate()).result).toBe(0);
  expect(all.map(({ isRetry }) => isRetry)).toEqual([false, true]);
  expect(new Set(all.map(({ identity }) => identity)).size).toBe(1);
});

test('to another primary in a new epoch', async () => {
  const { all, operate } = session(
    (_sent, turn, receiver, message) => {
      if (turn > 1) receiver.message(answered(message));
    },
    [OLD, NEW],
  );
  expect((await operate()).result).toBe(0);
  expect(all.map(({ osd, epoch, isRetry }) => [osd, epoch, isRetry])).toEqual([
    ['osd.0', 10, false],
    ['osd.1', 11, true],
  ]);
  expect(new Set(all.map(({ identity }) => identity)).size).toBe(1);
});

test('to the same primary in its next life, of whose end nothing was heard', async () => {
  const { all, operate } = session(
    ({ life }, _turn, receiver, message) => {
      if (life > 1) receiver.message(answered(message));
    },
    [OLD, { ...OLD, epoch: 11 }],
  );
  expect((await operate()).result).toBe(0);
  expect(all.map(({ osd, epoch, isRetry, life }) => [osd, epoch, isRetry, life])).toEqual([
    ['osd.0', 10, false, 1],
    ['osd.0', 11, true, 2],
  ]);
  expect(new Set(all.map(({ identity }) => identity)).size).toBe(1);
});

test('at the end of a backoff, which is acknowledged', async () => {
  const { all, operate } = session(
    (_sent, turn, receiver, message) => {
      if (turn === 1) {
        receiver.message(backoff(1));
        receiver.message(backoff(3));
      } else {
        receiver.message(answered(message));
      }
    },
    [OLD],
  );
  expect((await operate()).result).toBe(0);
  expect(all.map(({ osd, isRetry }) => [osd, isRetry])).toEqual([
    ['osd.0', false],
    ['osd.0', true],
  ]);
});

test('two operations are two, and one without an answer is not sent again where nothing has changed', async () => {
  const { all, operate } = session(() => undefined, [OLD]);
  await Promise.all([operate(2500), operate(2500)].map((work) => failureOf('osd-unresponsive', () => work)));
  expect(all.map(({ isRetry }) => isRetry)).toEqual([false, false]);
  expect(new Set(all.map(({ identity }) => identity)).size).toBe(2);
});

function sentOf(osd: string, { front, tid }: WireMessage): Omit<Sent, 'life'> {
  const read = new ByteReader(front, 'an operation');
  read.versioned('placement group');
  read.skip(4, 'hash');
  const epoch = read.u32('epoch');
  const flags = read.u32('flags');
  const identity = `${tid} ${read.versioned('request id').body.rest().toString('hex')}`;
  return { osd, identity, epoch, isRetry: (flags & 8) !== 0 };
}

function answered({ tid }: WireMessage): WireMessage {
  const front = new ByteWriter()
    .text(place.object)
    .raw(Buffer.alloc(25))
    .u32(0)
    .raw(Buffer.alloc(16))
    .u32(1)
    .raw(Buffer.alloc(38))
    .u32(0)
    .u32(0)
    .done();
  return plainMessage(MESSAGE.osdReply, front, { tid });
}

function backoff(operation: number): WireMessage {
  const group = new ByteWriter().versioned(1, 1, Buffer.alloc(18)).u32(10).u8(operation).u64(1).done();
  return plainMessage(MESSAGE.backoff, group);
}
