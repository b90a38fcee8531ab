import { ByteReader } from '../byte-reader.ts';
import type { UserLogin } from '../cephx-login.ts';
import type { WireMessage } from '../connection.ts';
import { authMessage, type AuthReply, authReply, MESSAGE, offeredMethods } from '../mon-messages.ts';

/** The part of a connection that a login takes. */
interface Line {
  send(message: WireMessage): void;
  receive(): Promise<WireMessage>;
  isFrom(login: UserLogin): void;
}

/**
 * In messenger v1 a client logs in by messages, once the connection is there: whoever it is, and then cephx's proof. A
 * monitor sends its map and more meanwhile, which nobody waits for yet.
 */
export async function logInByMessages(login: UserLogin, line: Line): Promise<void> {
  line.send(authMessage(0, offeredMethods(login)));
  const challenge = await reply(line, login);
  line.send(authMessage(challenge.protocol, login.prove(payloadOf(challenge))));
  const tickets = await reply(line, login);
  login.accept(tickets.globalId, payloadOf(tickets));
  line.isFrom(login);
}

async function reply(line: Line, login: UserLogin): Promise<AuthReply> {
  let message = await line.receive();
  while (message.type !== MESSAGE.authReply) message = await line.receive();
  const answer = authReply(message);
  if (answer.result !== 0) throw login.refusal(answer.result, payloadOf(answer));
  return answer;
}

function payloadOf({ payload }: AuthReply): ByteReader {
  return new ByteReader(payload, 'the answer to a login');
}
