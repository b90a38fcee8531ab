import { randomInt } from 'node:crypto';
import type { Authorizer } from '../cephx-authorizer.ts';
import type { UserLogin } from '../cephx-login.ts';
import { ByteStream } from '../byte-stream.ts';
import { ByteWriter } from '../byte-writer.ts';
import type { Messenger, PeerAddress, WireMessage } from '../connection.ts';
import { messengerOf, StreamConnection } from '../open-connection.ts';
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
export const messengerV1: Messenger = messengerOf((peer) => new V1Connection(peer));

export class V1Connection extends StreamConnection {
  readonly #nonce = randomInt(1, 2 ** 31);
  #source = NOBODY;
  #seq = 0;

  constructor(peer: PeerAddress, stream = new ByteStream(peer)) {
    super(peer, stream, 'msgr1');
  }

  async logIn(login: UserLogin): Promise<void> {
    await connectV1(this.stream, this.peer, this.#nonce);
    await logInByMessages(login, this);
  }

  showTicket(authorizer: Authorizer): Promise<void> {
    this.#source = authorizer.globalId;
    return connectV1(this.stream, this.peer, this.#nonce, authorizer);
  }

  /** From here on messages come from this client: two that were nobody's would be one to an OSD. */
  isFrom({ globalId }: UserLogin): void {
    this.#source = globalId;
  }

  send(message: WireMessage): void {
    this.#seq += 1;
    this.stream.write(encodeMessage(message, this.#seq, this.#source));
  }

  async receive(): Promise<WireMessage> {
    for (;;) {
      const tag = (await this.stream.read(1)).readUInt8();
      if (tag === TAG.message) return this.#message();
      if (tag === TAG.close) throw peerLost(this.peer, 'lost', 'closed by the peer');
      const length = BESIDES[tag];
      if (length === undefined) throw peerLost(this.peer, 'lost', `tag ${tag}`);
      const bytes = await this.stream.read(length);
      if (tag === TAG.keepAliveTimed) {
        this.stream.write(new ByteWriter().u8(TAG.keepAliveAnswer).raw(bytes).done());
      }
    }
  }

  async #message(): Promise<WireMessage> {
    const header = decodeMessageHeader(await this.stream.read(MESSAGE_HEADER_BYTES));
    const { frontBytes, middleBytes, dataBytes } = header;
    const body = await this.stream.read(frontBytes + middleBytes + dataBytes + MESSAGE_FOOTER_BYTES);
    this.stream.write(new ByteWriter().u8(TAG.acknowledgement).u64(header.seq).done());
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
