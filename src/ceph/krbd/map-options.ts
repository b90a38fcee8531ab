import { RbdsrError } from '../../base/error.ts';
import { isOlder } from '../../system/kernel.ts';
import { OPTION_SINCE } from './kernel-traits.ts';

/** A kernel map option an administrator chose: `queue_depth=256`, or `notrim` with no value. */
export interface MapOption {
  readonly name: string;
  readonly value?: string;
}

/** How an option's value is checked: a range of whole numbers, one of some words, or no value at all. */
type Rule = 'flag' | { readonly from: number; readonly to: number; readonly power?: true } | readonly string[];

/** Every option an administrator may choose. */
const ALLOWED: Readonly<Record<string, Rule>> = {
  queue_depth: { from: 1, to: 1024 },
  osd_request_timeout: { from: 0, to: 3600 },
  mount_timeout: { from: 1, to: 600 },
  osdkeepalive: { from: 1, to: 600 },
  osd_idle_ttl: { from: 1, to: 3600 },
  // At most 4 MiB, the size of an object.
  alloc_size: { from: 512, to: 4_194_304, power: true },
  ms_mode: ['legacy', 'crc', 'secure', 'prefer-crc', 'prefer-secure'],
  compression_hint: ['none', 'compressible', 'incompressible'],
  crc: 'flag',
  nocrc: 'flag',
  tcp_nodelay: 'flag',
  notcp_nodelay: 'flag',
  cephx_sign_messages: 'flag',
  nocephx_sign_messages: 'flag',
  rxbounce: 'flag',
  notrim: 'flag',
};

/** Options that are ours to set, or that would break what the driver relies on, and why. */
const REFUSED: Readonly<Record<string, string>> = {
  name: 'the user comes from device-config user',
  key: 'the key comes from device-config and travels through the kernel keyring',
  secret: 'the key comes from device-config and travels through the kernel keyring',
  fsid: 'the cluster is recognised after mapping and checked against the SR',
  ip: 'the kernel chooses the address of its client',
  ro: 'RBDSR decides whether an image is mapped read-only',
  read_only: 'RBDSR decides whether an image is mapped read-only',
  rw: 'RBDSR decides whether an image is mapped read-only',
  read_write: 'RBDSR decides whether an image is mapped read-only',
  exclusive: 'several hosts map the image at once, so no one may own its lock',
  lock_on_read: 'several hosts map the image at once, so no one may own its lock',
  lock_timeout: 'several hosts map the image at once, so no one may own its lock',
  share: 'each SR needs a client of its own, so that fencing one cannot fence another',
  noshare: 'it is always set',
  _pool_ns: 'the namespace comes from device-config namespace',
  abort_on_full: 'a full pool would turn into I/O errors in guests instead of a pause',
  read_from_replica:
    'another host may have written the block a moment ago, and a replica may not have it yet on older clusters',
  crush_location: 'it matters only with read_from_replica, which is refused',
  cephx_require_signatures: 'the kernel decides it and newer ones ignore it',
  nocephx_require_signatures: 'the kernel decides it and newer ones ignore it',
  udev: 'it is an option of the rbd tool, not of the kernel',
  noudev: 'it is an option of the rbd tool, not of the kernel',
};

/**
 * `queue_depth=256,notrim`. 'config-invalid' for what is unknown, given twice, out of range, or not the administrator's
 * to choose.
 */
export function parseMapOptions(text: string): readonly MapOption[] {
  const options = new Map<string, MapOption>();
  for (const word of text.split(',').map((part) => part.trim())) {
    if (word === '') continue;
    const option = parseOption(word);
    // "nocrc" after "crc" is the same option given twice.
    const subject = option.name.replace(/^no(?=crc|tcp_|cephx_)/, '');
    if (options.has(subject)) throw invalid(`map option ${subject} is given twice`, 'each option once', word);
    options.set(subject, option);
  }
  return [...options.values()];
}

/** 'kernel-unsupported' names the options this kernel is too old for. */
export function checkOptionsForKernel(options: readonly MapOption[], release: string): void {
  const tooNew = options.filter(({ name }) => isOlder(release, OPTION_SINCE[name] ?? '0.0'));
  if (tooNew.length === 0) return;
  const list = tooNew.map(({ name }) => `${name} (since Linux ${OPTION_SINCE[name] ?? ''})`).join(', ');
  throw new RbdsrError('kernel-unsupported', {
    what: "this host's kernel does not know some of the SR's map options",
    expected: list,
    found: `Linux ${release}`,
    todo: 'Take them out of device-config options.',
    facts: { options: tooNew.map(({ name }) => name).join(',') },
  });
}

export function formatMapOption(option: MapOption): string {
  return option.value === undefined ? option.name : `${option.name}=${option.value}`;
}

function parseOption(word: string): MapOption {
  const [, name = word, value] = /^([^=]*)=(.*)$/s.exec(word) ?? [];
  const reason = Object.hasOwn(REFUSED, name) ? REFUSED[name] : undefined;
  if (reason !== undefined) throw invalid(`map option ${name} cannot be chosen: ${reason}`, ALLOWED_LIST, name);
  const rule = Object.hasOwn(ALLOWED, name) ? ALLOWED[name] : undefined;
  if (rule === undefined) throw invalid('a map option is not one of those allowed', ALLOWED_LIST, name);
  if (rule === 'flag') {
    if (value !== undefined) throw invalid(`map option ${name} takes no value`, name, word);
    return { name };
  }
  if (value === undefined) throw invalid(`map option ${name} needs a value`, expectation(rule), word);
  if (!fits(rule, value)) throw invalid(`the value of map option ${name} does not fit`, expectation(rule), value);
  return { name, value };
}

const ALLOWED_LIST = `one of ${Object.keys(ALLOWED).join(', ')}`;

function fits(rule: Exclude<Rule, 'flag'>, value: string): boolean {
  if (!('from' in rule)) return rule.includes(value);
  const number = /^(0|[1-9][0-9]{0,9})$/.test(value) ? Number(value) : -1;
  if (number < rule.from || number > rule.to) return false;
  return rule.power === undefined || Number.isInteger(Math.log2(number));
}

function expectation(rule: Exclude<Rule, 'flag'>): string {
  if (!('from' in rule)) return `one of ${rule.join(', ')}`;
  return `a whole number from ${rule.from} to ${rule.to}${rule.power === undefined ? '' : ' that is a power of 2'}`;
}

function invalid(what: string, expected: string, found: string): RbdsrError {
  return new RbdsrError('config-invalid', { what, expected, found: JSON.stringify(found.slice(0, 120)) });
}
