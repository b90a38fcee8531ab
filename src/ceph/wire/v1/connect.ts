import { RbdsrError } from '../../../base/error.ts';
import { ByteReader } from '../byte-reader.ts';
import { ByteWriter } from '../byte-writer.ts';
import type { ByteStream } from '../byte-stream.ts';
import { type Authorizer, SERVICE } from '../cephx-authorizer.ts';
import { CEPHX, CLIENT } from '../cephx-login.ts';
import { CLIENT_FEATURES, featuresMissing } from '../client-features.ts';
import { decodeEntityAddress, isSameAddress } from '../entity-address.ts';
import type { PeerAddress } from '../connection.ts';
import { formatPeer, peerLost } from '../peer-failure.ts';
import { ADDRESS_BYTES, BANNER, encodeAddress, TAG } from './frames.ts';

/**
 * Greeting and terms of one connection of messenger v1 (ceph `doc/dev/network-protocol.rst`): the peer speaks first,
 * and where it is no Ceph it is told nothing. An OSD takes the authorizer in the same breath.
 */
export async function connectV1(
  stream: ByteStream,
  peer: PeerAddress,
  nonce: number,
  authorizer?: Authorizer,
): Promise<void> {
  await greet(stream, peer);
  const addresses = await stream.read(2 * ADDRESS_BYTES);
  if (authorizer !== undefined) expectPeer(peer, new ByteReader(addresses, 'the greeting of a daemon'));
  stream.write(
    new ByteWriter()
      .raw(Buffer.from(BANNER))
      .raw(encodeAddress({ ...peer, port: 0, nonce }))
      .done(),
  );
  let proof = authorizer?.first() ?? Buffer.alloc(0);
  for (let turn = 0; turn < 2; turn += 1) {
    stream.write(connectMessage(authorizer === undefined ? PROTOCOL.monitor : PROTOCOL.osd, proof));
    const reply = new ByteReader(await stream.read(REPLY_BYTES), 'the reply to a connection');
    const tag = reply.u8('tag');
    const features = reply.u64('features');
    reply.skip(12, 'sequences and protocol');
    const length = reply.u32('length');
    if (length > MOST_PROOF_BYTES) throw reply.garbled('length', `at most ${MOST_PROOF_BYTES}`, String(length));
    const shown = new ByteReader(await stream.read(length), 'the authorizer of a daemon');
    if (tag === TAG.ready) {
      authorizer?.verify(shown);
      return;
    }
    if (tag !== TAG.challenge || authorizer === undefined || turn > 0) throw refused(peer, tag, features);
    proof = authorizer.answer(shown.rest());
  }
}

/**
 * OSDs that start anew may have each other's ports, and one that is asked for what another serves says nothing. A
 * daemon may not know yet at which address it is reached (kernel `net/ceph/messenger_v1.c`, process_banner).
 */
function expectPeer(peer: PeerAddress, read: ByteReader): void {
  const found = decodeEntityAddress(read);
  const host = isAnyAddress(found.host) ? peer.host : found.host;
  if (isSameAddress({ ...found, host }, peer)) return;
  throw new RbdsrError('monitor-unreachable', {
    what: `${formatPeer(peer)} is another daemon of Ceph than the one that was looked for`,
    expected: `${formatPeer(peer)}/${peer.nonce}`,
    found: `${formatPeer(found)}/${found.nonce}`,
  });
}

const isAnyAddress = (host: string): boolean => host === '0.0.0.0' || host === '::';

/** "ceph v027": then the peer goes on; "ceph v2": it would wait for another greeting. */
async function greet(stream: ByteStream, peer: PeerAddress): Promise<void> {
  const start = (await stream.read('ceph v2\n'.length)).toString('latin1');
  if (start === 'ceph v2\n') throw onlyV2(peer);
  const banner = /^ceph v0[0-9]$/.test(start) ? start + (await stream.read(1)).toString('latin1') : start;
  if (!/^ceph v0[0-9]{2}$/.test(banner)) {
    throw peerLost(peer, 'foreign', JSON.stringify(banner + stream.unread.toString('latin1').slice(0, 16)));
  }
  if (banner !== BANNER) throw peerLost(peer, 'msgr1', banner);
}

/** Such a port has no other answer. */
function onlyV2(peer: PeerAddress): RbdsrError {
  return new RbdsrError('cluster-incompatible', {
    what: `${formatPeer(peer)} speaks messenger v2 alone`,
    expected: 'messenger v1, port 6789',
    todo: 'Name the port of messenger v1.',
  });
}

const REPLY_BYTES = 26;
const MOST_PROOF_BYTES = 64 * 1024;
/** Versions of what a client says to each (CEPH_MONC_PROTOCOL, CEPH_OSDC_PROTOCOL). */
const PROTOCOL = { monitor: 15, osd: 24 } as const;

/** Whoever loses this connection forgets it (CEPH_MSG_CONNECT_LOSSY). */
const LOSSY = 1;

function connectMessage(protocol: number, proof: Buffer): Buffer {
  globalSeq += 1;
  return new ByteWriter()
    .u64(CLIENT_FEATURES)
    .u32(CLIENT)
    .u32(globalSeq)
    .u32(0)
    .u32(protocol)
    .u32(proof.length === 0 ? 0 : CEPHX)
    .u32(proof.length)
    .u8(LOSSY)
    .raw(proof)
    .done();
}

let globalSeq = 0;

function refused(peer: PeerAddress, tag: number, theirs: bigint): RbdsrError {
  const at = formatPeer(peer);
  if (tag === TAG.features) return featuresMissing(at, theirs & ~CLIENT_FEATURES);
  if (tag === TAG.badAuthorizer) {
    return new RbdsrError('cluster-auth', {
      what: `the daemon at ${at} does not take the ticket that the monitors gave for it`,
      todo: 'Its clock may be wrong, or its own key: `ceph -s` on a monitor names clocks that differ.',
      facts: { isTicketRefused: true, service: SERVICE.osd },
    });
  }
  return peerLost(peer, 'msgr1', `tag ${tag}`);
}
