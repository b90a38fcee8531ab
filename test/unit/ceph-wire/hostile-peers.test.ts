import { createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { type ErrorCode, RbdsrError } from '../../../src/base/error.ts';
import { Secret } from '../../../src/base/secret.ts';
import { ByteWriter } from '../../../src/ceph/wire/byte-writer.ts';
import { UserLogin } from '../../../src/ceph/wire/cephx-login.ts';
import { eitherMessenger } from '../../../src/ceph/wire/either-messenger.ts';
import { encodeBanner } from '../../../src/ceph/wire/v2/banner.ts';
import { userCredentials } from '../../../src/ceph/wire/v2/credentials.ts';
import { shakeHands } from '../../../src/ceph/wire/v2/handshake.ts';
import { plainFraming } from '../../../src/ceph/wire/v2/plain-framing.ts';
import { FRAME_TAG } from '../../../src/ceph/wire/v2/tags.ts';
import { failureOf } from '../../support/expect-error.ts';
import { conversation, CONVERSATIONS, RecordedSource } from '../../support/recorded-conversation.ts';

const { key, heard } = conversation('monitor-crc');
const login = (): UserLogin => new UserLogin({ user: 'recorded', key: new Secret(key) });
const HELLO_END = 26 + 32 + 1 + heard.readUInt32LE(26 + 2) - 1 + 4;

const banner = (supported: bigint, required: bigint): Buffer =>
  new ByteWriter().raw(Buffer.from('ceph v2\n')).u16(16).u64(supported).u64(required).done();
const badMethod = (result: number, methods: readonly number[], modes: readonly number[]): Buffer => {
  const writer = new ByteWriter()
    .u32(2)
    .u32(result >>> 0)
    .u32(methods.length);
  for (const method of methods) writer.u32(method);
  writer.u32(modes.length);
  for (const mode of modes) writer.u32(mode);
  return plainFraming.encode({ tag: FRAME_TAG.authBadMethod, segments: [writer.done()] });
};
const greeted = heard.subarray(0, HELLO_END);

test.each<[string, Buffer, ErrorCode, string]>([
  ['says nothing', Buffer.alloc(0), 'monitor-unreachable', 'accepts connections but says nothing'],
  ['is another service', Buffer.from('SSH-2.0-OpenSSH_9.2p1\r\n'), 'monitor-unreachable', 'is not Ceph'],
  ['says a few bytes', Buffer.from('220\n'), 'monitor-unreachable', 'is not Ceph'],
  ['greets and goes silent', encodeBanner(), 'monitor-unreachable', 'no answer in time'],
  ['greets with v1 and goes silent', Buffer.from('ceph v027'), 'monitor-unreachable', 'does not go on'],
  ['speaks v2.0 alone', banner(0n, 0n), 'cluster-incompatible', 'messenger v2.0 alone'],
  ['needs compression', banner(3n, 2n), 'cluster-incompatible', 'features 0x2'],
  ['is an OSD', conversation('osd-crc').heard, 'monitor-unreachable', 'a daemon of type 4 instead of 1'],
  ['has no cephx', Buffer.concat([greeted, badMethod(-95, [1], [1, 2])]), 'cluster-incompatible', 'methods 1'],
  ['has no mode of ours', Buffer.concat([greeted, badMethod(-95, [2], [7])]), 'cluster-incompatible', 'modes 7'],
  ['refuses the user', Buffer.concat([greeted, badMethod(-13, [2], [1, 2])]), 'cluster-auth', 'its key is another'],
  ['is somebody who plays it again', heard, 'cluster-auth', 'changed on the way'],
])('a peer that %s', async (_what, says, code, words) => {
  await using peer = await listener((socket) => void socket.write(says));
  const at = { host: '127.0.0.1', port: peer.port, nonce: 0 };
  const receiver = { message: () => undefined, closed: () => undefined };
  const within = { deadline: Deadline.after(1000) };
  const error = await failureOf(code, () => eitherMessenger.toMonitor(at, login(), receiver, within));
  expect(error.message).toContain(words);
});

/** A seed that has ever found something stays. */
const SEEDS = Array.from({ length: 400 }, (_, index) => index + 1);

test.each(CONVERSATIONS)('a handshake in which anything is changed ends with an error of ours, %s', async (name) => {
  const recorded = conversation(name);
  for (const seed of SEEDS) {
    const source = new RecordedSource(changed(recorded.heard, random(seed)));
    const credentials = userCredentials(new UserLogin({ user: 'recorded', key: new Secret(recorded.key) }));
    const entityType = name.startsWith('monitor') ? 1 : 4;
    const peer = { host: '10.66.0.1', port: 3300, nonce: 0 };
    const modes = ['secure', 'crc'] as const;
    try {
      await shakeHands(source, { peer, nonce: 1, modes, credentials: { ...credentials, entityType } });
      throw new Error(`seed ${seed} is let in`);
    } catch (error) {
      if (!(error instanceof RbdsrError)) throw new Error(`seed ${seed}`, { cause: error });
    }
    // Of who has proven nothing no more is waited for, and kept.
    expect(source.mostAsked).toBeLessThan(65 * 1024);
  }
});

/** One to four changes: bytes cut out or said twice, a number as long as it can be, any byte; the end cut off. */
function changed(original: Buffer, next: (below: number) => number): Buffer {
  let bytes = Buffer.from(original.subarray(0, 700));
  for (let change = next(4); change >= 0; change -= 1) {
    const at = next(bytes.length);
    const end = Math.min(bytes.length, at + 1 + next(16));
    const kind = next(5);
    if (kind === 0) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    else if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
    else if (kind === 2 && at + 4 <= bytes.length) bytes.writeUInt32LE(0xffffffff - next(3), at);
    else if (kind === 3) bytes = Buffer.from(bytes.subarray(0, at + 1));
    else bytes.writeUInt8(next(256), at);
  }
  return bytes;
}

/** A linear congruential generator (Numerical Recipes): the same numbers for the same seed. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % below;
  };
}

async function listener(greet: (socket: Socket) => void): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    greet(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
