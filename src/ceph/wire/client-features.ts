import { hasCode, RbdsrError } from '../../base/error.ts';

/**
 * What this side can (ceph `src/include/ceph_features.h`), as kernels of 4.19 and later offer it. Not among them:
 * MSG_AUTH (23), so that no message is signed; MSG_ADDR2 (59), MONNAMES (5) and MONENC (15), so that addresses and the
 * map of monitors have their old form; RECONNECT_SEQ (6), since a lost connection is not resumed. SERVER_LUMINOUS (21)
 * stands for RADOS_BACKOFF and RESEND_ON_SPLIT, too: osd-session.ts.
 */
export const CLIENT_FEATURES = [
  0, 1, 4, 7, 9, 11, 13, 18, 21, 25, 28, 30, 35, 36, 37, 39, 41, 42, 43, 48, 57, 58, 61,
].reduce((sum, bit) => sum + 2n ** BigInt(bit), 0n);

/** 'cluster-incompatible'; isSignatureWanted tells one such from the others. */
export function featuresMissing(at: string, missing: bigint): RbdsrError {
  const bits = Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => (missing >> BigInt(bit)) % 2n === 1n);
  const isSignature = bits.includes(SIGNATURES);
  return new RbdsrError('cluster-incompatible', {
    what: isSignature
      ? `the cluster at ${at} wants every message of messenger v1 signed, which RBDSR does not do`
      : `the cluster at ${at} wants of its clients what RBDSR does not do`,
    found: `feature bits ${bits.join(', ')}`,
    todo: isSignature ? WITHOUT_SIGNATURES : 'Ceph tools on this host, or a sudoer of a monitor by SSH, do without.',
    facts: { missing: bits.join(','), isSignatureWanted: isSignature },
  });
}

/** What makes such a cluster let us in all the same. */
export const WITHOUT_SIGNATURES =
  'On a monitor: `ceph config set global cephx_require_signatures false`, and the same for cephx_service_require_signatures; or `ceph mon enable-msgr2`; or ceph tools or SSH do without.';

/** Whether a daemon has refused messenger v1 because it wants its messages signed; v2 has another way to prove them. */
export function isSignatureWanted(error: unknown): boolean {
  return hasCode(error, 'cluster-incompatible') && error.detail.facts?.['isSignatureWanted'] === true;
}

const SIGNATURES = 23;
