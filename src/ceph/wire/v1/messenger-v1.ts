import { randomInt } from 'node:crypto';
import { messageOf, RbdsrError } from '../../../base/error.ts';
import type { Authorizer } from '../cephx-authorizer.ts';
import type { UserLogin } from '../cephx-login.ts';
import { ByteStream } from '../byte-stream.ts';
import { ByteWriter } from '../byte-writer.ts';
import type { Messenger, PeerAddress, Receiver, WireMessage } from '../connection.ts';
import { type OpeningConnection, openConnection } from '../open-connection.ts';
import { peerLost } from '../peer-failure.ts';
import { connectV1 } from './connect.ts';
import {
  decodeBody,
  decodeMessageHeader,
  encodeMessage,
  MESSAGE_FOOTER_BYTES,
  MESSAGE_HEADER_BYTES,
  TAG,
} from './frames.ts';
import { logInByMessages } from './log-in.ts';

/** Messenger v1, port 6789 of a monitor: what every cluster and every kernel speaks. Neither encrypted nor signed. */
export const messengerV1: Messenger = {
  toMonitor: (peer, login, receiver, within) =>
    openConnection(new V1Connection(peer), receiver, within, (connection) => connection.logIn(login)),
  toOsd: (peer, authorizer, receiver, within) =>
    openConnection(new V1Connection(peer), receiver, within, (connection) => connection.showTicket(authorizer)),
};

export class V1Connection implements OpeningConnection {
  readonly #peer: PeerAddress;
  readonly #stream: ByteStream;
  readonly #nonce = randomInt(1, 2 ** 31);
  #source = NOBODY;
  #seq = 0;
  #isClosed = false;

  constructor(peer: PeerAddress, stream = new ByteStream(peer)) {
    this.#peer = peer;
    this.#stream = stream;
  }

  async logIn(login: UserLogin): Promise<void> {
    await connectV1(this.#stream, this.#peer, this.#nonce);
    await logInByMessages(login, this);
  }

  showTicket(authorizer: Authorizer): Promise<void> {
    this.#source = authorizer.globalId;
    return connectV1(this.#stream, this.#peer, this.#nonce, authorizer);
  }

  /** From here on messages come from this client: two that were nobody's would be one to an OSD. */
  isFrom({ globalId }: UserLogin): void {
    this.#source = globalId;
  }

  send(message: WireMessage): void {
    this.#seq += 1;
    this.#stream.write(encodeMessage(message, this.#seq, this.#source));
  }

  /** The next message; what keeps the connection is answered meanwhile. */
  async receive(): Promise<WireMessage> {
    for (;;) {
      const tag = (await this.#stream.read(1)).readUInt8();
      if (tag === TAG.message) return this.#message();
      if (tag === TAG.close) throw peerLost(this.#peer, 'lost', 'closed by the peer');
      const length = BESIDES[tag];
      if (length === undefined) throw peerLost(this.#peer, 'lost', `tag ${tag}`);
      const bytes = await this.#stream.read(length);
      if (tag === TAG.keepAliveTimed) {
        this.#stream.write(new ByteWriter().u8(TAG.keepAliveAnswer).raw(bytes).done());
      }
    }
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
    return peerLost(this.#peer, this.#stream.hasHeard ? 'msgr1' : 'silent', 'no answer in time');
  }

  fail(error: RbdsrError): void {
    this.#stream.fail(error);
  }

  close(): void {
    this.#isClosed = true;
    this.#stream.fail(peerLost(this.#peer, 'lost', 'closed by this side'));
  }

  async #forward(receiver: Receiver): Promise<never> {
    for (;;) {
      const message = await this.receive();
      if (!this.#isClosed) receiver.message(message);
    }
  }

  async #message(): Promise<WireMessage> {
    const header = decodeMessageHeader(await this.#stream.read(MESSAGE_HEADER_BYTES));
    const { frontBytes, middleBytes, dataBytes } = header;
    const body = await this.#stream.read(frontBytes + middleBytes + dataBytes + MESSAGE_FOOTER_BYTES);
    this.#stream.write(new ByteWriter().u8(TAG.acknowledgement).u64(header.seq).done());
    return decodeBody(header, body);
  }
}

/** Before a login. */
const NOBODY = 2n ** 64n - 1n;
/** Bytes behind each tag that is no message. */
const BESIDES: Readonly<Record<number, number>> = {
  [TAG.acknowledgement]: 8,
  [TAG.keepAlive]: 0,
  [TAG.keepAliveTimed]: 8,
  [TAG.keepAliveAnswer]: 8,
};
