import { setTimeout as pause } from 'node:timers/promises';
import { hasCode } from '../../base/error.ts';
import { ByteStream } from './byte-stream.ts';
import { Authorizer } from './cephx-authorizer.ts';
import { isSignatureWanted } from './client-features.ts';
import type { Connection, Messenger, Patience, PeerAddress, Receiver } from './connection.ts';
import { type OpeningConnection, openConnection } from './open-connection.ts';
import { peerLost } from './peer-failure.ts';
import { V1Connection } from './v1/messenger-v1.ts';
import { V2Connection } from './v2/messenger-v2.ts';

/**
 * Whichever of both messengers the peer greets with. A monitor is looked for at the other one's usual port too, so that
 * it is found whichever was typed; of an OSD the monitors have said where it listens for what. Who greets with v1 and
 * then wants signed messages is asked by v2, where it has that.
 */
export const eitherMessenger: Messenger = {
  toMonitor: (peer, login, receiver, within) =>
    open(withUsualPort(peer), USUAL_PORTS.get(peer.port), receiver, within, (connection) => connection.logIn(login)),
  toOsd: (peer, { globalId, ticket }, receiver, within) =>
    open(peer, undefined, receiver, within, (connection) => connection.showTicket(new Authorizer(globalId, ticket))),
};

/** Of a monitor: that of v1, that of v2, each beside the other. */
const V1_PORT = 6789;
const V2_PORT = 3300;
const USUAL_PORTS: ReadonlyMap<number, number> = new Map([
  [V1_PORT, V2_PORT],
  [V2_PORT, V1_PORT],
]);

function withUsualPort(peer: PeerAddress): PeerAddress {
  return peer.port === V1_PORT || peer.port === V2_PORT ? { ...peer, forV2: { ...peer, port: V2_PORT } } : peer;
}

async function open(
  peer: PeerAddress,
  otherPort: number | undefined,
  receiver: Receiver,
  within: Patience,
  introduce: (connection: OpeningConnection) => Promise<void>,
): Promise<Connection> {
  const greeted = await firstToGreet(peer, otherPort, within);
  try {
    return await openConnection(spokenTo(greeted), receiver, within, introduce);
  } catch (error) {
    if (peer.forV2 === undefined || !isSignatureWanted(error)) throw error;
    return byV2(peer.forV2, receiver, within, introduce, error);
  }
}

function spokenTo({ isV2, peer, stream }: Greeted): OpeningConnection {
  return isV2 ? new V2Connection(peer, undefined, stream) : new V1Connection(peer, stream);
}

/** Where v2 leads nowhere, why v1 did not is what counts. */
async function byV2(
  peer: PeerAddress,
  receiver: Receiver,
  within: Patience,
  introduce: (connection: OpeningConnection) => Promise<void>,
  refusal: unknown,
): Promise<Connection> {
  try {
    return await openConnection(new V2Connection(peer), receiver, within, introduce);
  } catch (error) {
    throw hasCode(error, 'monitor-unreachable', 'cluster-incompatible') ? refusal : error;
  }
}

interface Greeted {
  readonly peer: PeerAddress;
  readonly stream: ByteStream;
  readonly isV2: boolean;
}

/** What was typed has a moment's advance. Where neither greets, its failure is the one that counts. */
async function firstToGreet(peer: PeerAddress, otherPort: number | undefined, within: Patience): Promise<Greeted> {
  const over = new AbortController();
  const typed = greet(peer, within, over.signal);
  if (otherPort === undefined) return typed;
  const other = greetLater(typed, { ...peer, port: otherPort }, within, over.signal);
  let winner: Greeted | undefined;
  try {
    winner = await Promise.any([typed, other]);
    return winner;
  } catch {
    return await typed;
  } finally {
    over.abort();
    for (const attempt of [typed, other]) {
      attempt.then(
        (greeted) => greeted !== winner && greeted.stream.fail(peerLost(greeted.peer, 'lost', 'not needed')),
        () => undefined,
      );
    }
  }
}

async function greetLater(
  first: Promise<Greeted>,
  peer: PeerAddress,
  within: Patience,
  over: AbortSignal,
): Promise<Greeted> {
  const isNeeded = await Promise.race([
    first.then(
      () => false,
      () => true,
    ),
    pause(ADVANCE_MS, true, { signal: over }).catch(() => false),
  ]);
  if (!isNeeded) throw peerLost(peer, 'unreachable', 'not asked');
  return greet(peer, within, over);
}

const ADVANCE_MS = 250;

/** A peer that is no Ceph is told nothing, and is not waited for. */
async function greet(peer: PeerAddress, { deadline, giveUp }: Patience, over: AbortSignal): Promise<Greeted> {
  if (over.aborted || giveUp?.aborted === true) throw peerLost(peer, 'unreachable', 'not asked');
  const stream = new ByteStream(peer);
  const end = (): void =>
    stream.fail(
      stream.isConnected ? peerLost(peer, 'silent', 'no answer') : peerLost(peer, 'unreachable', 'no answer'),
    );
  const timer = setTimeout(end, deadline.leftMs);
  const signals = [over, ...(giveUp === undefined ? [] : [giveUp])];
  for (const signal of signals) signal.addEventListener('abort', end);
  try {
    const start = (await stream.peek(GREETING_BYTES)).toString('latin1');
    if (!/^ceph v(?:2\n|0[0-9])$/.test(start)) throw foreign(peer, stream);
    return { peer, stream, isV2: start.startsWith('ceph v2') };
  } catch (error) {
    // A few bytes and no more are no greeting either.
    const failure = stream.unread.length > 0 ? foreign(peer, stream) : error;
    stream.fail(peerLost(peer, 'lost', 'closed by this side'));
    throw failure;
  } finally {
    clearTimeout(timer);
    for (const signal of signals) signal.removeEventListener('abort', end);
  }
}

/** Enough to tell "ceph v2\n" and "ceph v027" apart. */
const GREETING_BYTES = 8;

function foreign(peer: PeerAddress, stream: ByteStream): Error {
  return peerLost(peer, 'foreign', JSON.stringify(stream.unread.toString('latin1').slice(0, 24)));
}
