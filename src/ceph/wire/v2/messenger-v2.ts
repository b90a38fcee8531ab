import { randomInt } from 'node:crypto';
import { ByteStream } from '../byte-stream.ts';
import type { Authorizer } from '../cephx-authorizer.ts';
import type { UserLogin } from '../cephx-login.ts';
import type { WireMessage, Messenger, PeerAddress } from '../connection.ts';
import { messengerOf, StreamConnection } from '../open-connection.ts';
import { peerLost } from '../peer-failure.ts';
import type { ModeName } from './auth-frames.ts';
import { type Credentials, ticketCredentials, userCredentials } from './credentials.ts';
import type { Frame, Framing } from './framing.ts';
import { shakeHands } from './handshake.ts';
import { decodeMessageFrame, messageFrame, MOST_MESSAGE_BYTES } from './message-frame.ts';
import { plainFraming } from './plain-framing.ts';
import { FRAME_TAG } from './tags.ts';

/**
 * Messenger v2, port 3300 of a monitor, which clusters have since Ceph 14, and some alone. Everything is sealed where
 * the peer lets it be.
 */
export function messengerV2(modes: readonly ModeName[] = EITHER_MODE): Messenger {
  return messengerOf((peer) => new V2Connection(peer, modes));
}

export class V2Connection extends StreamConnection {
  readonly #modes: readonly ModeName[];
  #framing: Framing = plainFraming;
  #seq = 0n;
  #heardSeq: bigint | undefined;

  constructor(peer: PeerAddress, modes: readonly ModeName[] = EITHER_MODE, stream = new ByteStream(peer)) {
    super(peer, stream, 'msgr2');
    this.#modes = modes;
  }

  logIn(login: UserLogin): Promise<void> {
    return this.#introduce(userCredentials(login));
  }

  showTicket(authorizer: Authorizer): Promise<void> {
    return this.#introduce(ticketCredentials(authorizer));
  }

  send(message: WireMessage): void {
    this.#seq += 1n;
    this.#say(messageFrame(message, this.#seq, this.#heardSeq ?? 0n));
  }

  async receive(): Promise<WireMessage> {
    for (;;) {
      const frame = await this.#framing.read(this.stream, MOST_MESSAGE_BYTES);
      if (frame.tag === FRAME_TAG.message) return this.#inOrder(frame);
      if (frame.tag === FRAME_TAG.keepAlive) this.#say({ tag: FRAME_TAG.keepAliveAnswer, segments: frame.segments });
      else if (!BESIDES.has(frame.tag)) throw peerLost(this.peer, 'lost', `frame ${frame.tag}`);
    }
  }

  async #introduce(credentials: Credentials): Promise<void> {
    const nonce = randomInt(1, 2 ** 31);
    this.#framing = await shakeHands(this.stream, { peer: this.peer, nonce, modes: this.#modes, credentials });
  }

  /** Each is one later than the last, or something between has left one out or said one twice. */
  #inOrder(frame: Frame): WireMessage {
    const { seq, message } = decodeMessageFrame(frame);
    const expected = (this.#heardSeq ?? seq - 1n) + 1n;
    if (seq !== expected) throw peerLost(this.peer, 'lost', `message ${seq} instead of ${expected}`);
    this.#heardSeq = seq;
    this.#acknowledge(seq);
    return message;
  }

  #acknowledge(seq: bigint): void {
    const control = Buffer.alloc(8);
    control.writeBigUInt64LE(seq);
    this.#say({ tag: FRAME_TAG.acknowledgement, segments: [control] });
  }

  #say(frame: Frame): void {
    this.stream.write(this.#framing.encode(frame));
  }
}

const EITHER_MODE: readonly ModeName[] = ['secure', 'crc'];
/** What needs no answer: nothing that was sent is kept, so that nobody waits for its acknowledgement. */
const BESIDES: ReadonlySet<number> = new Set([FRAME_TAG.acknowledgement, FRAME_TAG.keepAliveAnswer]);
