import { describe, expect, test } from 'vitest';
import { readBanner } from '../../../src/ceph/wire/v2/banner.ts';
import { decodeDone } from '../../../src/ceph/wire/v2/auth-frames.ts';
import type { Frame, Framing } from '../../../src/ceph/wire/v2/framing.ts';
import { type ConnectionSecret, GcmLine, splitConnectionSecret } from '../../../src/ceph/wire/v2/gcm-line.ts';
import { decodeHello } from '../../../src/ceph/wire/v2/ident-frames.ts';
import { decodeMessageFrame } from '../../../src/ceph/wire/v2/message-frame.ts';
import { plainFraming } from '../../../src/ceph/wire/v2/plain-framing.ts';
import { encodePreamble } from '../../../src/ceph/wire/v2/preamble.ts';
import { SealedFraming } from '../../../src/ceph/wire/v2/sealed-framing.ts';
import { FRAME_TAG } from '../../../src/ceph/wire/v2/tags.ts';
import { Transcript } from '../../../src/ceph/wire/v2/transcript.ts';
import { failureOf } from '../../support/expect-error.ts';
import { type Conversation, conversation, CONVERSATIONS, RecordedSource } from '../../support/recorded-conversation.ts';

const PEER = { host: '10.66.0.1', port: 3300, nonce: 0 };
const MOST = 1024 * 1024;

describe.each(CONVERSATIONS)('a recorded conversation, %s', (name) => {
  const recorded = conversation(name);

  test('is understood to its last byte, on both sides, and would be said in the same bytes', async () => {
    const heard = await walk(recorded, recorded.heard, 'heard');
    const said = await walk(recorded, recorded.said, 'said');
    const messages = name.startsWith('monitor') ? [FRAME_TAG.message, FRAME_TAG.message] : [];
    const handshake = [
      FRAME_TAG.hello,
      FRAME_TAG.authReplyMore,
      FRAME_TAG.authDone,
      FRAME_TAG.authSignature,
      FRAME_TAG.serverIdent,
    ];
    expect(heard.frames.map(({ tag }) => tag)).toEqual([...handshake, ...messages]);
    const shaken = [
      FRAME_TAG.hello,
      FRAME_TAG.authRequest,
      FRAME_TAG.authRequestMore,
      FRAME_TAG.authSignature,
      FRAME_TAG.clientIdent,
    ];
    expect(said.frames.map(({ tag }) => tag)).toEqual([...shaken, ...messages]);
  });

  test('each side has signed what it had heard', async () => {
    const heard = await walk(recorded, recorded.heard, 'heard');
    const said = await walk(recorded, recorded.said, 'said');
    const signature = async (bytes: Buffer): Promise<Buffer> => {
      const transcript = new Transcript(new RecordedSource(bytes));
      await transcript.read(bytes.length);
      return transcript.signature(recorded.sessionKey);
    };
    expect(heard.frames[3]?.segments[0]).toEqual(await signature(said.beforeSignature));
    expect(said.frames[3]?.segments[0]).toEqual(await signature(heard.beforeSignature));
  });

  test('says who it is, and who is seen where', async () => {
    const { frames } = await walk(recorded, recorded.heard, 'heard');
    const hello = decodeHello(frames[0] as Frame);
    expect(hello.entityType).toBe(name.startsWith('monitor') ? 1 : 4);
    expect(hello.seenAt.host).toBe('10.66.0.1');
    expect(decodeDone(frames[2] as Frame).mode).toBe(name.endsWith('crc') ? 1 : 2);
  });

  test('cut at any byte is the end of the connection, and nothing else', async () => {
    const { frames } = await walk(recorded, recorded.heard, 'heard');
    for (const end of cuts(recorded.heard.length)) {
      const cut = recorded.heard.subarray(0, end);
      await failureOf('monitor-unreachable', () => walk(recorded, cut, 'heard', { leastFrames: frames.length }));
    }
  });

  test('changed in any byte is noticed, but for checksums of what is not there', async () => {
    const original = await walk(recorded, recorded.heard, 'heard');
    const unnoticed: number[] = [];
    for (const at of cuts(recorded.heard.length)) {
      const bytes = Buffer.from(recorded.heard);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      try {
        const changed = await walk(recorded, bytes, 'heard', { isChanged: true });
        // The daemon hears of it by what this side signs.
        if (changed.beforeSignature.equals(original.beforeSignature)) unnoticed.push(at);
      } catch (error) {
        expect(error).toMatchObject({
          code: expect.stringMatching(/^(control-plane-failed|monitor-unreachable|cluster-incompatible)$/),
        });
      }
    }
    expect(unnoticed.length).toBe(name === 'monitor-crc' ? 8 : 0);
  });
});

test('what a monitor has answered is in its frames', async () => {
  for (const name of ['monitor-crc', 'monitor-secure'] as const) {
    const recorded = conversation(name);
    const { frames } = await walk(recorded, recorded.heard, 'heard');
    const [map, answer] = frames.slice(5).map(decodeMessageFrame);
    expect([map?.seq, map?.message.type, answer?.seq, answer?.message.type]).toEqual([1n, 4, 2n, 51]);
    expect(answer?.message.tid).toBe(9);
    expect(JSON.parse(answer?.message.data.toString() ?? '')).toMatchObject({ require_osd_release: 'pacific' });
  }
});

describe.each([['crc'], ['secure']])('frames of mode %s', (mode) => {
  const framings = (): readonly [Framing, Framing] => {
    if (mode === 'crc') return [plainFraming, plainFraming];
    const { key, toClient, toServer } = splitConnectionSecret(Buffer.from(Array.from({ length: 64 }, (_, i) => i)));
    return [
      new SealedFraming({ key, toClient, toServer }),
      new SealedFraming({ key, toClient: toServer, toServer: toClient }),
    ];
  };

  test('of every shape arrive as they were sent', async () => {
    const [ours, theirs] = framings();
    for (const lengths of [[8], [48], [49], [64], [41, 0, 0, 5], [41, 16], [0, 1], [41, 15, 17, 4097]]) {
      const segments = lengths.map((length, index) => Buffer.alloc(length, index + 1));
      const source = new RecordedSource(ours.encode({ tag: FRAME_TAG.message, segments }));
      expect(await theirs.read(source, MOST)).toEqual({ tag: FRAME_TAG.message, segments });
      expect(source.left).toBe(0);
    }
  });

  test('that their sender gave up are refused', async () => {
    const [ours, theirs] = framings();
    const bytes = ours.encode({ tag: FRAME_TAG.message, segments: [Buffer.alloc(41), Buffer.alloc(16)] });
    if (mode === 'crc') bytes.writeUInt8(1, bytes.length - 13);
    else bytes.writeUInt8(0, bytes.length - 17);
    const error = await failureOf('control-plane-failed', () => theirs.read(new RecordedSource(bytes), MOST));
    expect(error.detail.facts?.['field']).toBe(mode === 'crc' ? 'end' : 'seal');
  });

  test('that say they are longer than anything is are refused before anything of them is waited for', async () => {
    const [ours, theirs] = framings();
    const source = new RecordedSource(ours.encode({ tag: FRAME_TAG.message, segments: [Buffer.alloc(2000)] }));
    const error = await failureOf('control-plane-failed', () => theirs.read(source, 1999));
    expect(error.message).toContain('at most 1999 bytes');
    expect(source.at).toBeLessThanOrEqual(96);
  });
});

describe('preambles that no sender writes', () => {
  const refused = async (preamble: Buffer): Promise<string> =>
    (await failureOf('control-plane-failed', () => plainFraming.read(new RecordedSource(preamble), MOST))).message;

  test('too many segments, none, and an empty last one', async () => {
    expect(await refused(encodePreamble({ tag: 1, lengths: [1, 1, 1, 1, 1] }))).toContain('number of segments');
    expect(await refused(encodePreamble({ tag: 1, lengths: [] }))).toContain('number of segments');
    expect(await refused(encodePreamble({ tag: 1, lengths: [4, 0] }))).toContain('last segment');
  });

  test('lengths whose sum is no number of bytes', async () => {
    const most = 0xffff_ffff;
    expect(await refused(encodePreamble({ tag: 1, lengths: [most, most, most, most] }))).toContain('at most');
  });
});

/** D. McGrew and J. Viega, "The Galois/Counter Mode of Operation", test cases 2 and 3, which NIST took over. */
test.each([
  [
    '0'.repeat(32),
    '0'.repeat(24),
    '0'.repeat(32),
    '0388dace60b6a392f328c2b971b2fe78',
    'ab6e47d42cec13bdf53a67b21257bddf',
  ],
  [
    'feffe9928665731c6d6a8f9467308308',
    'cafebabefacedbaddecaf888',
    'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255',
    '42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985',
    '4d5c2af327cd64a62cf35abd2ba6fab4',
  ],
])('AES-128-GCM with key %s', (key, nonce, plain, sealed, tag) => {
  const line = (): GcmLine => new GcmLine(Buffer.from(key, 'hex'), Buffer.from(nonce, 'hex'));
  expect(line().seal(Buffer.from(plain, 'hex')).toString('hex')).toBe(sealed + tag);
  expect(
    line()
      .open(Buffer.from(sealed + tag, 'hex'))
      .toString('hex'),
  ).toBe(plain);
});

test('a nonce counts its last eight bytes as a number, little endian, and is not used twice', () => {
  const at = (counter: bigint): GcmLine => {
    const nonce = Buffer.alloc(12, 7);
    nonce.writeBigUInt64LE(counter, 4);
    return new GcmLine(Buffer.alloc(16, 1), nonce);
  };
  const text = Buffer.from('text');
  const line = at(255n);
  line.seal(text);
  expect(line.seal(text)).toEqual(at(256n).seal(text));
  const last = at(2n ** 64n - 1n);
  last.seal(text);
  expect(last.seal(text)).toEqual(at(0n).seal(text));
});

/** RFC 4231, test case 2. */
test('a signature is HMAC-SHA256', async () => {
  const transcript = new Transcript(new RecordedSource(Buffer.from('what do ya want for nothing?')));
  await transcript.read(12);
  await transcript.read(16);
  expect(transcript.signature(Buffer.from('Jefe')).toString('hex')).toBe(
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  );
});

/** Hundreds of bytes each, all of what matters; of long answers some. */
function cuts(length: number): readonly number[] {
  return Array.from({ length }, (_, at) => at).filter((at) => at < 1200 || at % 53 === 0 || at > length - 40);
}

interface Walked {
  readonly frames: readonly Frame[];
  /** All bytes before the frame with the signature. */
  readonly beforeSignature: Buffer;
}

/** Reads one side's bytes to their end, and says each frame again. */
async function walk(
  { connectionSecret }: Conversation,
  bytes: Buffer,
  side: 'heard' | 'said',
  { leastFrames = 0, isChanged = false } = {},
): Promise<Walked> {
  const source = new RecordedSource(bytes);
  await readBanner(source, PEER);
  const frames: Frame[] = [];
  let beforeSignature = bytes;
  let [read, again]: readonly Framing[] = [plainFraming, plainFraming];
  while (source.left > 0 || frames.length < leastFrames) {
    const start = source.at;
    const frame: Frame = await (read as Framing).read(source, MOST);
    frames.push(frame);
    if (!isChanged && !(again as Framing).encode(frame).equals(bytes.subarray(start, source.at))) {
      throw new Error(`frame ${frame.tag} would be said in other bytes`);
    }
    if (frame.tag === (side === 'heard' ? FRAME_TAG.authDone : FRAME_TAG.authRequestMore)) {
      beforeSignature = bytes.subarray(0, source.at);
      if (connectionSecret.length > 0) [read, again] = sealed(splitConnectionSecret(connectionSecret), side);
    }
  }
  return { frames, beforeSignature };
}

function sealed({ key, toClient, toServer }: ConnectionSecret, side: 'heard' | 'said'): readonly [Framing, Framing] {
  const client = new SealedFraming({ key, toClient, toServer });
  const server = new SealedFraming({ key, toClient: toServer, toServer: toClient });
  return side === 'heard' ? [client, server] : [server, client];
}
