import type { RbdsrError } from '../../base/error.ts';
import type { Authorizer } from './cephx-authorizer.ts';
import type { UserLogin } from './cephx-login.ts';
import type { Connection, Patience, Receiver } from './connection.ts';

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
