import type { ErrorCode } from '../../base/error.ts';

/**
 * The SM number of each error, from the storage manager's XE_SR_ERRORCODES.xml. `command`: a failed program or xapi
 * call, which has the number of the command it happened in. `unforeseen`: 1200, or what the host version has instead.
 *
 * xapi turns 16, 24, 38, 39 and 144 into errors of its own that lose our text; they stand only where the text adds
 * little.
 */
const NUMBERS: Readonly<Record<ErrorCode, number | 'command' | 'unforeseen'>> = {
  'bad-request': 143,
  'unknown-command': 143,
  unimplemented: 38,
  'invalid-argument': 1,
  'config-missing': 90,
  'target-missing': 95,
  'config-invalid': 91,
  'illegal-xml-char': 447,
  'not-master': 58,
  'invalid-secret': 20,
  'xapi-unreachable': 150,
  'xapi-failure': 'command',
  dns: 140,
  'monitor-unreachable': 141,
  'cluster-auth': 68,
  'cluster-incompatible': 448,
  'osd-unresponsive': 47,
  'pool-missing': 19,
  'image-missing': 19,
  'image-features': 91,
  'image-unmappable': 2,
  'image-too-small': 91,
  'image-in-use': 56,
  'image-foreign': 56,
  'control-plane-missing': 202,
  'control-plane-failed': 'command',
  'ssh-protocol': 141,
  'ssh-host-key': 68,
  'ssh-login': 68,
  'sudo-refused': 202,
  'admin-key-missing': 202,
  'quorum-lost': 47,
  'kernel-module-missing': 448,
  'kernel-unsupported': 448,
  'device-missing': 67,
  'device-busy': 85,
  'device-ambiguous': 202,
  'program-failed': 'command',
  'program-missing': 'command',
  deadline: 47,
  'lock-busy': 37,
  io: 200,
  internal: 'unforeseen',
  'sr-exists': 42,
  'sr-unavailable': 47,
  'sr-in-use': 16,
  'sr-not-empty': 39,
  'sr-full': 44,
  'sr-scan': 40,
  'lvm-create': 50,
  'lvm-delete': 51,
  'lvm-activate': 52,
  'lvm-deactivate': 53,
  'lvm-resize': 59,
  'lvm-missing': 100,
  'vg-create': 77,
  'metadata-corrupt': 181,
  journal: 41,
  refcount: 104,
  'vdi-exists': 43,
  'vdi-missing': 144,
  'vdi-unavailable': 46,
  'vdi-in-use': 24,
  'vdi-size': 79,
  'vdi-type': 66,
  'vdi-create': 78,
  'vdi-delete': 80,
  'vdi-resize': 110,
  'vdi-snapshot': 'command',
  'chain-too-long': 109,
  'vdi-provision': 180,
  'vhd-corrupt': 65,
  'tapdisk-failed': 453,
  'tapdisk-running': 445,
  'fault-point': 203,
};

/**
 * What each number stands for; a reader sees it before the detail. Every number of NUMBERS and of the command table is
 * here.
 */
const DESCRIPTIONS: Readonly<Record<number, string>> = {
  1: 'An argument of the request is invalid',
  2: 'The device configuration contains a character that cannot be used',
  16: 'The storage is in use',
  19: 'There is no such device',
  20: 'There is no such secret',
  24: 'The VDI is in use',
  37: 'Taking a lock failed',
  38: 'The storage driver does not support this operation',
  39: 'The SR is not empty',
  40: 'Scanning the SR failed',
  41: 'An operation on the journal of the SR failed',
  42: 'The SR already exists',
  43: 'The VDI already exists',
  44: 'There is not enough space',
  46: 'The VDI is not available',
  47: 'The SR is not available',
  50: 'Creating a logical volume failed',
  51: 'Deleting a logical volume failed',
  52: 'Activating a logical volume failed',
  53: 'Deactivating a logical volume failed',
  56: 'The device is in use',
  58: 'The request must come from the pool master',
  59: 'Resizing a logical volume failed',
  65: 'Loading the VDI failed',
  66: 'The VDI type is invalid',
  67: 'The device did not appear',
  68: 'Logging in to the storage failed (check the user and its key)',
  77: 'Creating the volume group failed',
  78: 'Creating the VDI failed',
  79: 'The VDI size is invalid',
  80: 'Deleting the VDI failed',
  81: 'Cloning the VDI failed',
  82: 'Taking a snapshot of the VDI failed',
  85: 'Detaching from the storage failed',
  90: 'The device configuration lacks a parameter',
  91: 'The device configuration is invalid',
  95: 'The address of the storage is missing',
  96: 'The target IQN is missing or wrong',
  100: 'A volume is missing',
  104: 'The reference count of a volume is not usable',
  107: 'The SCSIid is missing or wrong',
  109: 'The chain of snapshots is too long',
  110: 'Resizing the VDI failed',
  140: 'A host name could not be resolved',
  141: 'The storage could not be reached',
  143: 'The request could not be understood',
  144: 'The VDI does not exist',
  150: 'No session with xapi could be opened',
  180: 'The VDI cannot grow: the SR is over-provisioned',
  181: 'The metadata of the SR is not usable',
  200: 'An I/O operation failed',
  202: 'The storage backend failed',
  203: 'A fault point was reached',
  445: 'A tapdisk of this VDI is already running',
  447: 'A text contains a character that XML cannot carry',
  448: "The host's kernel does not support this",
  453: 'tapdisk failed',
  1200: 'An unexpected error occurred',
};

/** The number of `code` in a command whose own number is `command`. */
export function smNumber(code: ErrorCode, of: { readonly command: number; readonly unforeseen: number }): number {
  const number = NUMBERS[code];
  return typeof number === 'number' ? number : of[number];
}

/**
 * The description of a number; the stock storage manager adds details as ` [opterr=...]`, which user interfaces take
 * apart.
 */
export function faultString(number: number, detail: string): string {
  const description = DESCRIPTIONS[number] ?? `Storage error ${number}`;
  return detail === '' ? description : `${description} [opterr=${detail}]`;
}
