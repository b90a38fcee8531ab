import { randomInt } from 'node:crypto';
import { messageOf, RbdsrError } from '../../../base/error.ts';
import { ByteStream } from '../byte-stream.ts';
import type { Authorizer } from '../cephx-authorizer.ts';
import type { UserLogin } from '../cephx-login.ts';
import type { WireMessage, Messenger, PeerAddress, Receiver } from '../connection.ts';
import { type OpeningConnection, openConnection } from '../open-connection.ts';
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
  return {
    toMonitor: (peer, login, receiver, within) =>
      openConnection(new V2Connection(peer, modes), receiver, within, (connection) => connection.logIn(login)),
    toOsd: (peer, authorizer, receiver, within) =>
      openConnection(new V2Connection(peer, modes), receiver, within, (connection) =>
        connection.showTicket(authorizer),
      ),
  };
}

export class V2Connection implements OpeningConnection {
  readonly #peer: PeerAddress;
  readonly #modes: readonly ModeName[];
  readonly #stream: ByteStream;
  #framing: Framing = plainFraming;
  #seq = 0n;
  #heardSeq: bigint | undefined;
  #isClosed = false;

  constructor(peer: PeerAddress, modes: readonly ModeName[] = EITHER_MODE, stream = new ByteStream(peer)) {
    this.#peer = peer;
    this.#modes = modes;
    this.#stream = stream;
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

  listen(receiver: Receiver): void {
    void this.#forward(receiver).catch((error: unknown) => {
      if (this.#isClosed) return;
      this.close();
      receiver.closed(error instanceof RbdsrError ? error : peerLost(this.#peer, 'lost', messageOf(error)));
    });
  }

  late(): RbdsrError {
    if (!this.#stream.isConnected) return peerLost(this.#peer, 'unreachable', 'no answer');
    return peerLost(this.#peer, this.#stream.hasHeard ? 'msgr2' : 'silent', 'no answer in time');
  }

  fail(error: RbdsrError): void {
    this.#stream.fail(error);
  }

  close(): void {
    this.#isClosed = true;
    this.#stream.fail(peerLost(this.#peer, 'lost', 'closed by this side'));
  }

  async #introduce(credentials: Credentials): Promise<void> {
    const nonce = randomInt(1, 2 ** 31);
    this.#framing = await shakeHands(this.#stream, { peer: this.#peer, nonce, modes: this.#modes, credentials });
  }

  async #forward(receiver: Receiver): Promise<never> {
    for (;;) {
      const frame = await this.#framing.read(this.#stream, MOST_MESSAGE_BYTES);
      if (frame.tag === FRAME_TAG.message) {
        const message = this.#inOrder(frame);
        if (!this.#isClosed) receiver.message(message);
      } else if (frame.tag === FRAME_TAG.keepAlive)
        this.#say({ tag: FRAME_TAG.keepAliveAnswer, segments: frame.segments });
      else if (!BESIDES.has(frame.tag)) throw peerLost(this.#peer, 'lost', `frame ${frame.tag}`);
    }
  }

  /** Each is one later than the last, or something between has left one out or said one twice. */
  #inOrder(frame: Frame): WireMessage {
    const { seq, message } = decodeMessageFrame(frame);
    const expected = (this.#heardSeq ?? seq - 1n) + 1n;
    if (seq !== expected) throw peerLost(this.#peer, 'lost', `message ${seq} instead of ${expected}`);
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
    this.#stream.write(this.#framing.encode(frame));
  }
}

const EITHER_MODE: readonly ModeName[] = ['secure', 'crc'];
/** What needs no answer: nothing that was sent is kept, so that nobody waits for its acknowledgement. */
const BESIDES: ReadonlySet<number> = new Set([FRAME_TAG.acknowledgement, FRAME_TAG.keepAliveAnswer]);
