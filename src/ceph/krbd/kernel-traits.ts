import { isOlder, kernelRelease } from '../../system/kernel.ts';
import { FEATURES } from '../image/features.ts';

/**
 * What the kernel's RBD client can do, by version. Sources: `man rbd` ("since" of each option),
 * Documentation/ABI/testing/sysfs-bus-rbd, RBD_FEATURES_SUPPORTED in drivers/block/rbd.c and
 * include/linux/ceph/ceph_features.h of each release. XenServer 6.5 and 7.0 run 3.10,
 * 7.1 to 7.6 run 4.4, 8.x runs 4.19.
 */
export interface KernelTraits {
  readonly release: string;
  /** `cluster_fsid`, `client_addr` and `config_info` exist. */
  readonly identityAttributes: boolean;
  /** `minor` exists; before, every device has a major number of its own and minor 0. */
  readonly minorAttribute: boolean;
  /** Images in RADOS namespaces can be mapped and told apart. */
  readonly namespaces: boolean;
  /** Devices are opened and closed beside a `remove`; before, one mutex of the host covers both. */
  readonly opensBesideRemove: boolean;
  /** `remove` takes "N force". */
  readonly forcedRemove: boolean;
  /** The kernel says in its log that a pool does not exist; before, ENOENT may be the pool or the image. */
  readonly logsMissingPool: boolean;
  /** msgr v2 by the option ms_mode. */
  readonly msMode: boolean;
  /** A keyring takes no key whose type the client does not know; before, only using it fails. */
  readonly refusesKeyTypes: boolean;
  /** Cephx keys of type aes256k; some distributions' older kernels have it too (kernel-keys.ts). */
  readonly aes256k: boolean;
  /** Feature bits of images it can map, where `/sys/bus/rbd/supported_features` (4.11) does not say it itself. */
  readonly imageFeatures: number;
}

/** The first release that has it. One row per difference; nothing else compares versions. */
const SINCE = {
  // "rbd: don't hold ctl_mutex to get/put device"; 3.10 waits for the OSDs with it held (rbd_remove)
  opensBesideRemove: '3.11',
  minorAttribute: '3.14',
  logsMissingPool: '4.3',
  identityAttributes: '4.9',
  forcedRemove: '4.9',
  // "libceph: stop allocating a new cipher on every crypto request"
  refusesKeyTypes: '4.10',
  namespaces: '4.19',
  msMode: '5.11',
  // "libceph: add support for CEPH_CRYPTO_AES256KRB5"
  aes256k: '7.0',
} as const;

const IMAGE_FEATURES_SINCE: readonly (readonly [string, number])[] = [
  ['3.9', FEATURES.layering],
  ['4.9', FEATURES['exclusive-lock']],
  ['4.11', FEATURES['data-pool']],
  ['4.17', FEATURES.striping],
  ['4.18', FEATURES.operations],
  ['5.1', FEATURES['deep-flatten']],
  ['5.3', FEATURES['object-map'] + FEATURES['fast-diff']],
];

/** Map options that came later than the oldest kernel we meet (3.10). */
export const OPTION_SINCE: Readonly<Record<string, string>> = {
  tcp_nodelay: '4.0',
  notcp_nodelay: '4.0',
  queue_depth: '4.2',
  cephx_sign_messages: '4.4',
  nocephx_sign_messages: '4.4',
  osd_request_timeout: '4.12',
  notrim: '4.17',
  abort_on_full: '5.0',
  alloc_size: '5.1',
  crush_location: '5.8',
  read_from_replica: '5.8',
  compression_hint: '5.8',
  ms_mode: SINCE.msMode,
  rxbounce: '5.17',
};

export function kernelTraits(release: string = kernelRelease()): KernelTraits {
  const has = (since: string): boolean => !isOlder(release, since);
  return {
    release,
    identityAttributes: has(SINCE.identityAttributes),
    minorAttribute: has(SINCE.minorAttribute),
    namespaces: has(SINCE.namespaces),
    opensBesideRemove: has(SINCE.opensBesideRemove),
    forcedRemove: has(SINCE.forcedRemove),
    logsMissingPool: has(SINCE.logsMissingPool),
    msMode: has(SINCE.msMode),
    refusesKeyTypes: has(SINCE.refusesKeyTypes),
    aes256k: has(SINCE.aes256k),
    imageFeatures: IMAGE_FEATURES_SINCE.filter(([since]) => has(since)).reduce((sum, [, bits]) => sum + bits, 0),
  };
}
