/**
 * The hash that says which placement group of a pool an object belongs to: Bob Jenkins' of 1996, in the public domain
 * (burtleburtle.net, "lookup2"), as Ceph calls it rjenkins (`src/common/ceph_hash.cc`). Objects of a namespace are
 * hashed with its name and a unit separator before theirs.
 */
export function objectHash(namespace: string, name: string): number {
  return jenkins(Buffer.from(namespace === '' ? name : `${namespace}\x1f${name}`, 'utf8'));
}

/** Of so many groups; where that is no power of two, the upper half is folded (ceph_stable_mod). */
export function placementGroup(hash: number, groups: number): number {
  const mask = 2 ** Math.ceil(Math.log2(Math.max(groups, 1))) - 1;
  const folded = (hash & mask) >>> 0;
  return folded < groups ? folded : (hash & (mask >>> 1)) >>> 0;
}

const GOLDEN = 0x9e3779b9;

function jenkins(bytes: Buffer): number {
  let state: Triple = [GOLDEN, GOLDEN, 0];
  const whole = bytes.length - (bytes.length % 12);
  for (let at = 0; at < whole; at += 12) state = mixed(added(state, bytes.subarray(at, at + 12)));
  const rest = Buffer.alloc(12);
  bytes.copy(rest, 0, whole);
  // The lowest byte of the third word is the length's.
  rest.copyWithin(9, 8, 11);
  rest[8] = 0;
  const [a, b, c] = added(state, rest);
  return mixed([a, b, (c + bytes.length) >>> 0])[2];
}

type Triple = readonly [number, number, number];

function added([a, b, c]: Triple, block: Buffer): Triple {
  return [(a + block.readUInt32LE(0)) >>> 0, (b + block.readUInt32LE(4)) >>> 0, (c + block.readUInt32LE(8)) >>> 0];
}

/** Three rounds of three lines, each of which takes two words from one and shifts the last of them into it. */
function mixed([first, second, third]: Triple): Triple {
  let [a, b, c] = [first, second, third];
  for (const [right1, left, right2] of SHIFTS) {
    a = ((a - b - c) ^ (c >>> right1)) >>> 0;
    b = ((b - c - a) ^ (a << left)) >>> 0;
    c = ((c - a - b) ^ (b >>> right2)) >>> 0;
  }
  return [a, b, c];
}

const SHIFTS: readonly Triple[] = [
  [13, 8, 13],
  [12, 16, 5],
  [3, 10, 15],
];
