import { RbdsrError } from '../../base/error.ts';
import { featureMismatch, mapUndecodable, msgr1Only, msgr2Only } from './cluster-incompatible.ts';
import { shellSpec, unsupportedFeatures } from '../image/features.ts';
import type { KeyType } from '../cluster/cephx-key.ts';
import { formatSpec } from '../image/image-spec.ts';
import type { ImageSpec } from '../image/image-spec.ts';
import { keyUnusable } from './kernel-keys.ts';
import type { KernelFinding } from './kernel-messages.ts';
import type { KernelTraits } from './kernel-traits.ts';

/** What is known after the kernel refused a mapping. */
export interface MapFailure {
  readonly spec: ImageSpec;
  readonly user: string;
  readonly keyType?: KeyType;
  /** `host:port` list as it was written. */
  readonly monitors: string;
  /** 'ENOENT': what the write returned. */
  readonly errno: string;
  readonly findings: readonly KernelFinding[];
  readonly kernel: KernelTraits;
  /** Monitors that answered a moment before; undefined when nobody asked. */
  readonly answering?: number;
}

/**
 * The named error for a refused mapping. A finding in the kernel's log decides where there is one that goes with the
 * errno, else the errno alone: a log line may belong to another mapping of this host.
 */
export function mapFailure(failure: MapFailure): RbdsrError {
  return byLog(failure) ?? byErrno(failure);
}

const NO_ANSWER = [
  'ETIMEDOUT',
  'EIO',
  'ENXIO',
  'EINVAL',
  'EPROTO',
  'EOPNOTSUPP',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
];
/** What the kernel answers to a key whose type or length it does not know. */
const KEY_REFUSED = ['ENOTSUPP', 'EOPNOTSUPP', 'EINVAL'];
const FENCE_REFUSED = ['EACCES', 'EPERM', 'EIO', 'EROFS', 'ETIMEDOUT'];
const NOT_ALLOWED = ['EPERM', 'EACCES', 'EINVAL', 'EIO', 'ETIMEDOUT', 'ENOENT', 'EKEYREJECTED'];

function byLog(failure: MapFailure): RbdsrError | undefined {
  const { errno, findings, spec } = failure;
  const found = <K extends KernelFinding['kind']>(kind: K): Extract<KernelFinding, { kind: K }> | undefined =>
    findings.findLast((finding): finding is Extract<KernelFinding, { kind: K }> => finding.kind === kind);
  if (errno === 'ENOENT') {
    if (found('pool-missing')) return poolMissing(failure);
    if (found('image-missing')) return imageMissing(failure);
    if (found('snapshot-missing')) return snapshotMissing(failure);
  }
  const features = found('image-features');
  if (features && (errno === 'ENXIO' || errno === 'EINVAL')) return unsupportedFeatures(spec, features.bits);
  const option = found('unknown-option');
  if (option && errno === 'EINVAL') return optionUnknown(failure, option.option);
  if (found('key-refused') && KEY_REFUSED.includes(errno)) return keyRefused(failure);
  const fence = found('fence-refused');
  if (fence && FENCE_REFUSED.includes(errno)) return fenceRefused(failure, fence.client);
  if (found('auth') && NOT_ALLOWED.includes(errno)) return notAuthorised(failure);
  if (found('auth-mode') && NOT_ALLOWED.includes(errno)) return authModeRefused(failure);
  if (!NO_ANSWER.includes(errno)) return undefined;
  if (found('feature-mismatch')) return featureMismatch(failure.kernel, missingFeatures(findings));
  if (found('protocol-mismatch')) return featureMismatch(failure.kernel, 0n);
  if (found('map-undecodable')) return mapUndecodable(failure.kernel);
  if (found('msgr1-only')) return msgr1Only(failure.monitors);
  if (found('msgr2-only')) return msgr2Only(failure.monitors, failure.kernel);
  const stranger = found('wrong-peer');
  if (stranger) return wrongPeer(failure, stranger);
  const closed = found('closed');
  if (closed) return connectionClosed(failure, closed);
  return found('no-key') ? keyMissing(failure) : undefined;
}

/** One event is two lines, the mask in the first alone; a monitor and an OSD may lack different features. */
function missingFeatures(findings: readonly KernelFinding[]): bigint {
  return findings.reduce(
    (missing, finding) => (finding.kind === 'feature-mismatch' ? missing | finding.missing : missing),
    0n,
  );
}

function byErrno(failure: MapFailure): RbdsrError {
  switch (failure.errno) {
    case 'ENOENT':
      return failure.kernel.logsMissingPool ? imageMissing(failure) : poolOrImageMissing(failure);
    case 'EPERM':
    case 'EACCES':
    case 'EKEYREJECTED':
      return notAuthorised(failure);
    case 'ENOTSUPP':
      return keyRefused(failure);
    case 'ENXIO':
      return unsupportedFeatures(failure.spec, 0);
    case 'ESHUTDOWN':
      return fenced(failure);
    case 'ETIMEDOUT':
    case 'EIO':
    case 'ECONNREFUSED':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EINTR':
    case 'ERESTARTSYS':
      return noAnswer(failure);
    default:
      return unforeseen(failure);
  }
}

function poolMissing({ spec, monitors }: MapFailure): RbdsrError {
  return new RbdsrError('pool-missing', {
    what: `the cluster at ${monitors} has no pool called ${JSON.stringify(spec.pool)}`,
    todo: '`ceph osd pool ls` lists the pools.',
    facts: { pool: spec.pool },
  });
}

function imageMissing({ spec, monitors }: MapFailure): RbdsrError {
  return new RbdsrError('image-missing', {
    what: `the cluster at ${monitors} has no image ${formatSpec(spec)}`,
    todo: `Make it with \`rbd create --size SIZE --image-feature layering\`, or give device-config size so that RBDSR makes it.`,
    facts: { pool: spec.pool, image: spec.image },
  });
}

function snapshotMissing({ spec }: MapFailure): RbdsrError {
  return new RbdsrError('image-missing', {
    what: `image ${formatSpec(spec)} has no such snapshot`,
    facts: { pool: spec.pool, image: spec.image },
  });
}

function poolOrImageMissing({ spec, monitors }: MapFailure): RbdsrError {
  return new RbdsrError('image-missing', {
    what: `the cluster at ${monitors} has no pool ${JSON.stringify(spec.pool)}, or no image ${formatSpec(spec)} in it; this kernel does not tell which`,
    todo: '`rbd ls POOL` lists the images of a pool.',
    facts: { pool: spec.pool, image: spec.image },
  });
}

function notAuthorised({ user, spec, monitors, errno }: MapFailure): RbdsrError {
  return new RbdsrError('cluster-auth', {
    what: `the cluster at ${monitors} does not let client.${user} use image ${formatSpec(spec)}`,
    expected: 'a user that exists, with its own key, and with the capabilities of profile rbd on the pool',
    found: errno,
    todo: `\`ceph auth get client.${user}\` shows its key and capabilities; \`ceph auth get-or-create client.${user} mon 'profile rbd' osd 'profile rbd pool=${spec.pool}'\` makes such a user (with \`--key-type aes\` behind get-or-create where \`ceph mon dump\` shows auth_allowed_ciphers; a cluster that does not list aes there refuses every key of that type).`,
    facts: { user, errno },
  });
}

/**
 * Before a monitor is asked. A key that passed every check of ours may still be one that this kernel was built without.
 */
function keyRefused({ user, keyType, kernel }: MapFailure): RbdsrError {
  return keyUnusable(user, keyType === 'aes' ? undefined : keyType, kernel);
}

function keyMissing({ user, monitors, errno }: MapFailure): RbdsrError {
  return new RbdsrError('cluster-auth', {
    what: `the kernel found no key of client.${user} when the cluster at ${monitors} asked for one`,
    expected: "a key in the kernel's keyring, or in the line that maps the image",
    found: errno,
    todo: 'Try again; `keyctl show @s` and the limits in /proc/sys/kernel/keys tell whether the keyring is full.',
    facts: { user, errno },
  });
}

/**
 * An image that had exclusive-lock, or that somebody has locked by `rbd lock`: the kernel fences whoever holds it, as
 * this user.
 */
function fenceRefused({ user, spec, errno }: MapFailure, client: string): RbdsrError {
  return new RbdsrError('cluster-auth', {
    what: `client.${user} may not blocklist ${client}, which has the image ${formatSpec(spec)} locked`,
    expected: "mon 'profile rbd', which lets a user fence the client that held the lock before",
    found: errno,
    todo: `On a monitor: \`ceph auth caps client.${user} mon 'profile rbd' osd 'profile rbd pool=${spec.pool}'\` (all its capabilities in one command); \`rbd lock ls ${shellSpec(spec)}\` shows the lock.`,
    facts: { user, errno, locker: client },
  });
}

interface Peer {
  readonly peer: string;
  readonly address: string;
}

function wrongPeer({ errno }: MapFailure, { peer, address }: Peer): RbdsrError {
  return new RbdsrError(peerCode(peer), {
    what: `what answers at ${address} is not the ${peerName(peer)} that the cluster's map names there`,
    expected: `${peer} at ${address}, as \`ceph mon dump\` and \`ceph osd dump\` have it`,
    found: `another daemon, or the same one since a restart (${errno})`,
    todo: 'Look for two daemons with one address, a monitor made anew without its old name, or NAT between this host and the cluster.',
    facts: { peer, address, errno },
  });
}

function connectionClosed({ errno }: MapFailure, { peer, address }: Peer): RbdsrError {
  return new RbdsrError(peerCode(peer), {
    what: `the connection to the ${peerName(peer)} ${peer} at ${address} is refused, or closed before a word is said`,
    expected: 'a daemon that speaks msgr v1 at this port to this host',
    found: errno,
    todo: 'Check that it runs, that no firewall resets the connection, and that the port is not that of msgr v2 (3300).',
    facts: { peer, address, errno },
  });
}

function peerCode(peer: string): 'monitor-unreachable' | 'osd-unresponsive' {
  return peer.startsWith('osd') ? 'osd-unresponsive' : 'monitor-unreachable';
}

function peerName(peer: string): string {
  return peer.startsWith('osd') ? 'OSD' : 'monitor';
}

function authModeRefused({ user, monitors }: MapFailure): RbdsrError {
  return new RbdsrError('cluster-auth', {
    what: `the cluster at ${monitors} does not accept the way the kernel authenticates client.${user}`,
    expected: 'cephx, and the connection mode chosen by the map option ms_mode',
    todo: 'Check ms_mode, and `ceph config get mon ms_mon_client_mode` and `auth_client_required` on the cluster.',
    facts: { user },
  });
}

function fenced({ spec, monitors }: MapFailure): RbdsrError {
  return new RbdsrError('cluster-auth', {
    what: `the cluster at ${monitors} has fenced this host's client of ${formatSpec(spec)}`,
    found: 'ESHUTDOWN',
    todo: '`ceph osd blocklist ls` lists what is fenced and until when; `ceph osd blocklist rm ADDRESS` ends it.',
  });
}

function noAnswer({ monitors, errno, answering }: MapFailure): RbdsrError {
  if (answering !== undefined && answering > 0) {
    return new RbdsrError('osd-unresponsive', {
      what: `${answering} of the monitors at ${monitors} answered, but the cluster did not complete the mapping in time`,
      expected: 'monitors in quorum, and OSDs that this host reaches',
      found: errno,
      todo: '`ceph -s` shows the quorum and the OSDs; check that this host reaches the public network of the OSDs (ports 6800 to 7568).',
      facts: { errno },
    });
  }
  return new RbdsrError('monitor-unreachable', {
    what: `no monitor at ${monitors} answered`,
    found: errno,
    todo: 'Check the addresses and ports, that the monitors run, and that a firewall lets this host reach them.',
    facts: { errno },
  });
}

function optionUnknown({ kernel }: MapFailure, option: string): RbdsrError {
  return new RbdsrError('kernel-unsupported', {
    what: `this host's kernel does not know the map option ${option}`,
    found: `Linux ${kernel.release}`,
    todo: 'Take it out of device-config options.',
    facts: { options: option },
  });
}

function unforeseen({ spec, errno, monitors }: MapFailure): RbdsrError {
  return new RbdsrError('io', {
    what: `the kernel refused to map ${formatSpec(spec)} of the cluster at ${monitors}`,
    found: errno,
    todo: 'The kernel log (`dmesg | grep -E "rbd|ceph"`) may say more.',
    facts: { errno },
  });
}
