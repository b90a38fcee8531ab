import { randomBytes } from 'node:crypto';
import { RbdsrError } from '../../../base/error.ts';
import { CEPHX } from '../cephx-login.ts';
import type { PeerAddress } from '../connection.ts';
import { formatPeer, peerLost } from '../peer-failure.ts';
import { CLIENT_FEATURES, featuresMissing } from '../client-features.ts';
import {
  authRequest,
  authRequestMore,
  type BadMethod,
  controlOf,
  decodeBadMethod,
  decodeDone,
  decodeReplyMore,
  MODE,
  type ModeName,
} from './auth-frames.ts';
import { encodeBanner, readBanner } from './banner.ts';
import type { Accepted, Credentials } from './credentials.ts';
import type { ByteSource, Frame, Framing } from './framing.ts';
import { splitConnectionSecret } from './gcm-line.ts';
import { clientIdent, decodeHello, decodeMissingFeatures, decodeServerIdent, hello } from './ident-frames.ts';
import { plainFraming } from './plain-framing.ts';
import { SealedFraming } from './sealed-framing.ts';
import { FRAME_TAG } from './tags.ts';
import { Transcript } from './transcript.ts';

/** What goes to the peer, and comes from it. */
export interface PeerLine extends ByteSource {
  write(bytes: Buffer): void;
}

export interface HandshakeOptions {
  readonly peer: PeerAddress;
  /** This side's, by which a blocklist entry tells it from others at its address. */
  readonly nonce: number;
  readonly modes: readonly ModeName[];
  readonly credentials: Credentials;
}

/**
 * Makes a connection of messenger v2 (ceph `doc/dev/msgr2.rst`): greeting, introduction, login or ticket, in mode
 * secure everything from here on sealed, a signature of what was said so far, identity. How messages then look is
 * the answer. A session that was lost is not taken up again: whoever has asked asks again, on a new one.
 */
export async function shakeHands(line: PeerLine, options: HandshakeOptions): Promise<Framing> {
  const { peer, credentials } = options;
  const transcript = new Transcript(line);
  // The peer speaks first, and where it is no Ceph it is told nothing.
  await readBanner(transcript, peer);
  transcript.write(encodeBanner());
  transcript.write(plainFraming.encode(hello(peer)));
  const { entityType, seenAt } = decodeHello(await expectFrame(transcript, plainFraming, FRAME_TAG.hello, options));
  if (entityType !== credentials.entityType) {
    throw peerLost(peer, 'foreign', `a daemon of type ${entityType} instead of ${credentials.entityType}`);
  }
  const { accepted, mode } = await authenticate(transcript, options);
  const framing =
    mode === MODE.secure ? new SealedFraming(splitConnectionSecret(accepted.connectionSecret)) : plainFraming;
  const signature = transcript.signature(accepted.sessionKey);
  line.write(framing.encode({ tag: FRAME_TAG.authSignature, segments: [signature] }));
  const theirs = await expectFrame(line, framing, FRAME_TAG.authSignature, options);
  transcript.check(accepted.sessionKey, controlOf(theirs, 'the signature of a daemon').rest(), peer);
  await identify(line, framing, accepted.globalId, seenAt, options);
  return framing;
}

async function authenticate(
  line: PeerLine,
  options: HandshakeOptions,
): Promise<{ readonly accepted: Accepted; readonly mode: number }> {
  const { peer, modes, credentials } = options;
  line.write(plainFraming.encode(authRequest(modes, credentials.first())));
  for (let turn = 0; turn < MOST_TURNS; turn += 1) {
    const frame = await plainFraming.read(line, MOST_BYTES);
    if (frame.tag === FRAME_TAG.authReplyMore) {
      line.write(plainFraming.encode(authRequestMore(credentials.answer(decodeReplyMore(frame)))));
    } else if (frame.tag === FRAME_TAG.authDone) {
      const { globalId, mode, payload } = decodeDone(frame);
      if (!modes.some((name) => MODE[name] === mode)) throw modeRefused(peer, modes, [mode]);
      return { accepted: credentials.accept(globalId, payload), mode };
    } else throw refusal(frame, options, FRAME_TAG.authDone);
  }
  throw peerLost(peer, 'msgr2', `${MOST_TURNS} challenges, and no end`);
}

async function identify(
  line: PeerLine,
  framing: Framing,
  globalId: bigint,
  seenAt: PeerAddress,
  options: HandshakeOptions,
): Promise<void> {
  const { peer, nonce } = options;
  globalSeq += 1;
  const own = { host: seenAt.host, port: 0, nonce };
  const cookie = randomBytes(8).readBigUInt64LE();
  line.write(framing.encode(clientIdent({ own, peer, globalId, globalSeq, features: V2_FEATURES, cookie })));
  const missing = decodeServerIdent(await expectFrame(line, framing, FRAME_TAG.serverIdent, options)) & ~V2_FEATURES;
  if (missing !== 0n) throw featuresMissing(formatPeer(peer), missing);
}

async function expectFrame(
  source: ByteSource,
  framing: Framing,
  tag: number,
  options: HandshakeOptions,
): Promise<Frame> {
  const frame = await framing.read(source, MOST_BYTES);
  if (frame.tag !== tag) throw refusal(frame, options, tag);
  return frame;
}

function refusal(frame: Frame, { peer, modes, credentials }: HandshakeOptions, expected: number): RbdsrError {
  if (frame.tag === FRAME_TAG.identMissingFeatures)
    return featuresMissing(formatPeer(peer), decodeMissingFeatures(frame));
  if (frame.tag !== FRAME_TAG.authBadMethod) {
    return peerLost(peer, 'msgr2', `frame ${frame.tag} instead of ${expected}`);
  }
  const bad: BadMethod = decodeBadMethod(frame);
  if (!bad.allowedMethods.includes(CEPHX)) return methodRefused(peer, bad.allowedMethods);
  if (!modes.some((name) => bad.allowedModes.includes(MODE[name]))) return modeRefused(peer, modes, bad.allowedModes);
  return credentials.refused(bad.result, peer);
}

function methodRefused(peer: PeerAddress, allowed: readonly number[]): RbdsrError {
  return new RbdsrError('cluster-incompatible', {
    what: `the daemon at ${formatPeer(peer)} does not let anybody log in by cephx`,
    found: `methods ${allowed.join(', ')}`,
    todo: 'auth_client_required of the cluster has to name cephx.',
  });
}

function modeRefused(peer: PeerAddress, modes: readonly ModeName[], allowed: readonly number[]): RbdsrError {
  return new RbdsrError('cluster-incompatible', {
    what: `the daemon at ${formatPeer(peer)} and RBDSR have no mode of messenger v2 in common`,
    expected: modes.join(' or '),
    found: `modes ${allowed.join(', ')}`,
    todo: '`ceph config get mon ms_mon_service_mode` and `ceph config get osd ms_service_mode` show what the cluster takes.',
  });
}

let globalSeq = 0;
/** Whoever speaks messenger v2 has to know addresses that say which messenger they are for: MSG_ADDR2. */
const V2_FEATURES = CLIENT_FEATURES | (2n ** 59n);
/** Of one frame of a peer that has not proven anything yet. */
const MOST_BYTES = 64 * 1024;
const MOST_TURNS = 4;
