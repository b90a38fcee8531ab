/** What one message of the kernel's RBD client means. */
export type KernelFinding =
  | { readonly kind: 'pool-missing' }
  | { readonly kind: 'image-missing' }
  | { readonly kind: 'snapshot-missing' }
  | { readonly kind: 'image-features'; readonly bits: number }
  | { readonly kind: 'auth'; readonly errno: number }
  | { readonly kind: 'auth-mode' }
  | { readonly kind: 'no-key' }
  | { readonly kind: 'key-refused'; readonly errno: number }
  | { readonly kind: 'feature-mismatch'; readonly missing: bigint }
  | { readonly kind: 'protocol-mismatch' }
  | { readonly kind: 'msgr2-only' }
  | { readonly kind: 'msgr1-only' }
  | { readonly kind: 'map-undecodable' }
  | { readonly kind: 'wrong-peer'; readonly peer: string; readonly address: string }
  | { readonly kind: 'closed'; readonly peer: string; readonly address: string }
  | { readonly kind: 'fence-refused'; readonly client: string; readonly errno: number }
  | { readonly kind: 'unknown-option'; readonly option: string };

type Pattern = readonly [pattern: RegExp, meaning: (...groups: string[]) => KernelFinding];

/**
 * The kernel says these things nowhere else. One row per message, from the format strings of drivers/block/rbd.c and
 * net/ceph/ of Linux
 * 3.10 to 6.1; the first row that fits a line counts. Samples of each are in test/unit/ceph/kernel-messages.test.ts.
 */
const PATTERNS: readonly Pattern[] = [
  [/^rbd: pool .* does not exist$/, () => ({ kind: 'pool-missing' })],
  [/^rbd: image .* does not exist$/, () => ({ kind: 'image-missing' })],
  [/^rbd: snap .* does not exist$/, () => ({ kind: 'snapshot-missing' })],
  // 3.10 to 4.5 return the error without a word.
  [
    /^rbd: .*image uses unsupported features: 0x([0-9a-f]+)/,
    (bits) => ({ kind: 'image-features', bits: Number.parseInt(bits ?? '0', 16) }),
  ],
  [
    /Failed due to key not found|Failed due to (?:expired|revoked) key|Failed due to key error/,
    () => ({ kind: 'no-key' }),
  ],
  [/ceph: Mount failed due to key/, () => ({ kind: 'no-key' })],
  [/^libceph: no secret set/, () => ({ kind: 'no-key' })],
  // 5.11 and later; before, only the errno tells.
  [/^libceph: Failed to parse secret: -([0-9]+)/, (errno) => ({ kind: 'key-refused', errno: Number(errno) })],
  // "client.x" is unknown or its key is wrong; 5.11 and later, by protocol step.
  [
    /^libceph: auth protocol '\S+' (?:mauth|msgr) authentication failed: -([0-9]+)/,
    (errno) => ({ kind: 'auth', errno: Number(errno) }),
  ],
  [/^libceph: auth method '\S+' error -([0-9]+)/, (errno) => ({ kind: 'auth', errno: Number(errno) })],
  [/^libceph: (?:auth protocol|preferred mode|fallback mode) '\S+' not allowed/, () => ({ kind: 'auth-mode' })],
  [
    /^libceph: .*feature set mismatch, my [0-9a-f]+ < server's [0-9a-f]+, missing ([0-9a-f]+)/,
    (missing) => ({ kind: 'feature-mismatch', missing: BigInt(`0x${missing ?? '0'}`) }),
  ],
  [
    /^libceph: RADOS feature set mismatch: server's required > my supported 0x[0-9a-f]+, missing 0x([0-9a-f]+)/,
    (missing) => ({ kind: 'feature-mismatch', missing: BigInt(`0x${missing ?? '0'}`) }),
  ],
  [/^libceph: .*missing required protocol features/, () => ({ kind: 'feature-mismatch', missing: 0n })],
  [/^libceph: .*protocol version mismatch/, () => ({ kind: 'protocol-mismatch' })],
  // The line before it, "wrong peer, want A/0, got A/2345", has the address alone.
  [
    /^libceph: ([a-z]+[0-9]+) (?:\([0-9]+\))?(\S+) wrong peer at address/,
    (peer, address) => ({ kind: 'wrong-peer', peer: peer ?? '', address: address ?? '' }),
  ],
  // To 5.10: refused, or closed before a word was said. Later kernels have other states, which come and go in good
  // health.
  [
    /^libceph: ([a-z]+[0-9]+) (?:\([0-9]+\))?(\S+) socket closed \(con state CONNECTING\)/,
    (peer, address) => ({ kind: 'closed', peer: peer ?? '', address: address ?? '' }),
  ],
  // To 5.10 "blacklist". Somebody held the lock of the image's header, and is to be fenced before it is broken.
  [
    /^rbd: .*failed to bl(?:ock|ack)list (\S+): -([0-9]+)/,
    (client, errno) => ({ kind: 'fence-refused', client: client ?? '', errno: Number(errno) }),
  ],
  // A v1 client at a v2 port.
  [/^libceph: .*(?:connect to \S+ got bad banner|protocol error, bad banner)/, () => ({ kind: 'msgr2-only' })],
  [/^libceph: no match of type [0-9]+ in addrvec/, () => ({ kind: 'msgr2-only' })],
  // A v2 client at a v1 port.
  [/^libceph: .*server is speaking msgr1 protocol/, () => ({ kind: 'msgr1-only' })],
  [
    /^libceph: (?:corrupt (?:full|inc) osdmap|problem decoding monmap|osdc handle_map corrupt)/,
    () => ({ kind: 'map-undecodable' }),
  ],
  [
    /^(?:libceph|rbd): (?:Unknown parameter|bad option at) '?([^'=]+)/,
    (option) => ({ kind: 'unknown-option', option: option ?? '' }),
  ],
];

/** The findings in the kernel's log, in the order they were written. */
export function readKernelMessages(lines: readonly string[]): readonly KernelFinding[] {
  return lines.flatMap((line) => {
    for (const [pattern, meaning] of PATTERNS) {
      const match = pattern.exec(line);
      if (match !== null) return [meaning(...match.slice(1))];
    }
    return [];
  });
}
