import { messageOf, RbdsrError } from '../../base/error.ts';
import type { ByteStream } from './byte-stream.ts';
import type { Authorizer } from './cephx-authorizer.ts';
import type { UserLogin } from './cephx-login.ts';
import type { Connection, Messenger, Patience, PeerAddress, Receiver, WireMessage } from './connection.ts';
import { peerLost } from './peer-failure.ts';

/** A connection that is not there yet. */
export interface OpeningConnection extends Connection {
  /** To a monitor: when it is done, `login` holds the tickets. */
  logIn(login: UserLogin): Promise<void>;
  /** To an OSD. */
  showTicket(authorizer: Authorizer): Promise<void>;
  /** Everything that comes from now on goes to `receiver`. */
  listen(receiver: Receiver): void;
  /** What has gone wrong where nothing has, and no time is left. */
  late(): RbdsrError;
  /** Whatever is waited for fails with this. */
  fail(error: RbdsrError): void;
}

/** What both messengers do alike with a connection: one message after the other, until either end has enough. */
export abstract class StreamConnection implements OpeningConnection {
  protected readonly peer: PeerAddress;
  protected readonly stream: ByteStream;
  readonly #spoken: 'msgr1' | 'msgr2';
  #isClosed = false;

  constructor(peer: PeerAddress, stream: ByteStream, spoken: 'msgr1' | 'msgr2') {
    this.peer = peer;
    this.stream = stream;
    this.#spoken = spoken;
  }

  abstract logIn(login: UserLogin): Promise<void>;
  abstract showTicket(authorizer: Authorizer): Promise<void>;
  abstract send(message: WireMessage): void;
  /** The next message; what keeps the connection is answered meanwhile. */
  abstract receive(): Promise<WireMessage>;

  listen(receiver: Receiver): void {
    void this.#forward(receiver).catch((error: unknown) => {
      if (this.#isClosed) return;
      this.close();
      receiver.closed(error instanceof RbdsrError ? error : peerLost(this.peer, 'lost', messageOf(error)));
    });
  }

  late(): RbdsrError {
    if (!this.stream.isConnected) return peerLost(this.peer, 'unreachable', 'no answer');
    return peerLost(this.peer, this.stream.hasHeard ? this.#spoken : 'silent', 'no answer in time');
  }

  fail(error: RbdsrError): void {
    this.stream.fail(error);
  }

  close(): void {
    this.#isClosed = true;
    this.stream.fail(peerLost(this.peer, 'lost', 'closed by this side'));
  }

  async #forward(receiver: Receiver): Promise<never> {
    for (;;) {
      const message = await this.receive();
      if (!this.#isClosed) receiver.message(message);
    }
  }
}

/** One that makes each of its connections anew. */
export function messengerOf(connectionTo: (peer: PeerAddress) => OpeningConnection): Messenger {
  return {
    toMonitor: (peer, login, receiver, within) =>
      openConnection(connectionTo(peer), receiver, within, (connection) => connection.logIn(login)),
    toOsd: (peer, authorizer, receiver, within) =>
      openConnection(connectionTo(peer), receiver, within, (connection) => connection.showTicket(authorizer)),
  };
}

/** Lets both ends prove who they are, within the time there is. Nothing stays open of what fails. */
export async function openConnection(
  connection: OpeningConnection,
  receiver: Receiver,
  { deadline, giveUp }: Patience,
  introduce: (connection: OpeningConnection) => Promise<void>,
): Promise<Connection> {
  const end = (): void => connection.fail(connection.late());
  const timer = setTimeout(end, deadline.leftMs);
  giveUp?.addEventListener('abort', end);
  try {
    if (giveUp?.aborted === true) end();
    await introduce(connection);
  } catch (error) {
    connection.close();
    throw error;
  } finally {
    clearTimeout(timer);
    giveUp?.removeEventListener('abort', end);
  }
  // Whoever waits for the connection has it before the first message.
  setImmediate(() => connection.listen(receiver));
  return connection;
}
