import { RbdsrError } from '../../../base/error.ts';
import { ByteReader } from '../byte-reader.ts';
import { ByteWriter } from '../byte-writer.ts';
import type { PeerAddress } from '../connection.ts';
import { formatPeer, peerLost } from '../peer-failure.ts';
import type { ByteSource } from './framing.ts';

/** How both sides greet; behind it the length of what follows, and which features each has and needs. */
const BANNER = 'ceph v2\n';

export function encodeBanner(): Buffer {
  const features = new ByteWriter().u64(REVISION_1).u64(REVISION_1).done();
  return new ByteWriter().raw(Buffer.from(BANNER)).u16(features.length).raw(features).done();
}

/** 'monitor-unreachable' for what greets otherwise, 'cluster-incompatible' for who needs or has something else. */
export async function readBanner(source: ByteSource, peer: PeerAddress): Promise<void> {
  const start = (await source.read(BANNER.length)).toString('latin1');
  if (start !== BANNER) {
    throw /^ceph v0[0-9]$/.test(start)
      ? peerLost(peer, 'msgr1', 'msgr v1')
      : peerLost(peer, 'foreign', JSON.stringify(start));
  }
  const length = (await source.read(2)).readUInt16LE();
  if (length > MOST_BYTES) throw peerLost(peer, 'foreign', `a greeting of ${length} bytes`);
  const read = new ByteReader(await source.read(length), 'the greeting of messenger v2');
  const supported = read.u64('supported');
  const required = read.u64('required');
  if ((supported & REVISION_1) === 0n) throw tooOld(peer);
  if ((required & ~REVISION_1) !== 0n) throw needsMore(peer, required);
}

/**
 * Messenger v2.1, as the kernel's client requires it: in 2.0 a frame's lengths are believed before anything has shown
 * that they are the sender's.
 */
const REVISION_1 = 1n;
const MOST_BYTES = 1024;

function tooOld(peer: PeerAddress): RbdsrError {
  return new RbdsrError('cluster-incompatible', {
    what: `the daemon at ${formatPeer(peer)} speaks messenger v2.0 alone, which RBDSR does not`,
    expected: 'messenger v2.1, of Ceph 14.2.11, 15.2.5 and later',
    todo: 'Name the monitors with the port of messenger v1, normally 6789, or update the cluster.',
  });
}

function needsMore(peer: PeerAddress, required: bigint): RbdsrError {
  return new RbdsrError('cluster-incompatible', {
    what: `the daemon at ${formatPeer(peer)} needs of messenger v2 what RBDSR does not do`,
    found: `features 0x${required.toString(16)}`,
    todo: 'Name the monitors with the port of messenger v1, normally 6789.',
    facts: { required: required.toString(16) },
  });
}
