import type { ImageEdit } from './image-edit.ts';
import type { Random } from './random.ts';
import {
  BATMAP,
  type Field,
  FOOTER,
  FOOTER_SUM,
  HEADER,
  HEADER_SUM,
  LOCATOR,
  LOCATORS,
  MAP_SUM,
  type Places,
  seal,
  sumOf,
} from './structures.ts';

/** Changes one thing of an image, as a writer with a fault or a damaged disk would; says what. */
export function mutate(image: ImageEdit, places: Places, random: Random): string {
  const kinds = places.header === undefined ? [footer, size] : BLOCK_KINDS;
  return random.pick(kinds)(image, places, random);
}

type Mutation = (image: ImageEdit, places: Places, random: Random) => string;

/** Anything anywhere in the metadata, sums left as they are: for noise. */
export const scribble: Mutation = (image, places, random) => {
  const at = random.pick([0, places.endFooter, places.header ?? 0, places.bat ?? 0, places.batmap ?? 0]);
  const byte = at + random.below(1024);
  image.patch(byte, random.bytes(1 + random.below(8)));
  return `byte ${byte}`;
};

const footer: Mutation = (image, places, random) => {
  const field = random.pick(FOOTER);
  const [name, at, bytes] = field;
  const value = valueOf(field, image.bytes(places.endFooter + at, bytes), random);
  const which = places.header === undefined ? 'end' : random.pick(['both', 'both', 'both', 'end', 'copy']);
  const isSealed = random.below(10) > 0;
  const starts = { both: [places.endFooter, 0], end: [places.endFooter], copy: [0] }[which] ?? [];
  for (const start of starts) {
    image.patch(start + at, value);
    if (isSealed) seal(image, start, 512, FOOTER_SUM);
  }
  return `footer.${name} ${which}${isSealed ? '' : ' unsealed'} ${value.toString('hex', 0, 8)}`;
};

const header: Mutation = (image, places, random) => {
  const field = random.pick(HEADER);
  return inHeader(image, places, random, `header.${field[0]}`, field);
};

const locator: Mutation = (image, places, random) => {
  const slot = random.pick([0, 0, 1, 1, 2, 3, random.below(8)]);
  const [name, at, bytes] = random.pick(LOCATOR);
  return inHeader(image, places, random, `locator ${slot}.${name}`, [name, LOCATORS + slot * 24 + at, bytes]);
};

function inHeader(image: ImageEdit, places: Places, random: Random, what: string, field: Field): string {
  const [, at, bytes] = field;
  const start = places.header ?? 0;
  const value = valueOf(field, image.bytes(start + at, bytes), random);
  const isSealed = random.below(10) > 0;
  image.patch(start + at, value);
  if (isSealed) seal(image, start, 1024, HEADER_SUM);
  return `${what}${isSealed ? '' : ' unsealed'} ${value.toString('hex', 0, 8)}`;
}

const bat: Mutation = (image, places, random) => {
  const start = places.bat ?? 0;
  const entry = random.below(Math.max(1, places.blocks ?? 1));
  const other = image.bytes(start + 4 * random.below(Math.max(1, places.blocks ?? 1)), 4).readUInt32BE();
  const end = Math.floor(places.endFooter / 512);
  const near = random.pick([1, -1, 4096, -4096, 4097, 8]);
  const choices = [0, 1, 2, 3, 4, 0xffffffff, other, other + near, end, end - 4097, end - 4096, 0xfffffff0, 0x80000000];
  const value = random.pick([...choices, random.below(2 ** 32)]) >>> 0;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  image.patch(start + 4 * entry, bytes);
  return `bat ${entry} ${value}`;
};

const batmap: Mutation = (image, places, random) => {
  const { batmap: start, map, mapBytes } = places;
  if (start === undefined || map === undefined || mapBytes === undefined) return bat(image, places, random);
  if (random.below(2) === 0) {
    const field = random.pick(BATMAP);
    const value = valueOf(field, image.bytes(start + field[1], field[2]), random);
    image.patch(start + field[1], value);
    return `batmap.${field[0]} ${value.toString('hex', 0, 8)}`;
  }
  const byte = random.pick([0, 0, 1, random.below(mapBytes)]);
  const value = random.pick([Buffer.from([0xff]), Buffer.from([0x80 >> random.below(8)]), random.bytes(1)]);
  image.patch(map + byte, value);
  const isSealed = random.below(5) > 0;
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(sumOf(image.bytes(map, mapBytes)));
  if (isSealed) image.patch(start + MAP_SUM, sum);
  return `map ${byte} ${value.toString('hex')}${isSealed ? '' : ' unsealed'}`;
};

/** Texts of the parent, in the header's name and behind its locators. */
const text: Mutation = (image, places, random) => {
  const slot = random.below(3);
  const entry = image.bytes((places.header ?? 0) + LOCATORS + slot * 24, 24);
  const length = entry.readUInt32BE(8);
  const at = Number(entry.readBigUInt64BE(16));
  if (length === 0 || length > 1024) return header(image, places, random);
  const byte = random.below(length);
  const value = random.pick([Buffer.from('x'), Buffer.from([0]), Buffer.from([0xe4]), random.bytes(1)]);
  image.patch(at + byte, value);
  return `text ${slot} ${byte} ${value.toString('hex')}`;
};

const size: Mutation = (image, places, random) => {
  const by = random.pick([1, 511, 512, 513, 1024, 4096, 1 + random.below(65_536)]);
  const before = image.size;
  const footerBytes = image.bytes(places.endFooter, 512);
  image.size = Math.max(0, random.below(3) === 0 ? image.size + by : image.size - by);
  const moves = random.below(2) === 0 && image.size >= 512;
  if (image.size < before && !moves) return `size ${image.size}`;
  if (moves) image.patch(image.size - 512, footerBytes);
  return `size ${image.size}${moves ? ' moved' : ''}`;
};

const BLOCK_KINDS: readonly Mutation[] = [
  ...Array.from({ length: 6 }, () => footer),
  ...Array.from({ length: 5 }, () => header),
  ...Array.from({ length: 3 }, () => locator),
  ...Array.from({ length: 4 }, () => bat),
  ...Array.from({ length: 3 }, () => batmap),
  text,
  size,
];

/** What stands in the field now, made wrong in one of many ways. */
function valueOf([name, , bytes]: Field, now: Buffer, random: Random): Buffer {
  const special = SPECIAL[name];
  if (special !== undefined && random.below(2) === 0) return number(random.pick(special), bytes);
  if (bytes > 8) {
    const value = Buffer.from(now);
    const at = random.pick([0, 1, random.below(bytes)]);
    const change = random.below(4);
    if (change < 2) value[at] = (value[at] ?? 0) ^ (1 << random.below(8));
    else value.fill(change === 2 ? 0 : random.below(256));
    return value;
  }
  const value = BigInt(`0x${now.toString('hex')}`);
  const most = 2n ** BigInt(8 * bytes) - 1n;
  const choices = [
    0n,
    1n,
    most,
    value + 1n,
    value - 1n,
    value * 2n,
    value / 2n,
    value + 512n,
    value - 512n,
    value ^ (1n << BigInt(random.below(8 * bytes))),
    BigInt(random.below(17)),
    most / 2n + 1n,
    BigInt(random.below(2 ** 32)),
  ];
  return number(random.pick(choices), bytes);
}

function number(value: bigint, bytes: number): Buffer {
  const masked = BigInt.asUintN(8 * bytes, value);
  return Buffer.from(masked.toString(16).padStart(2 * bytes, '0'), 'hex');
}

const MiB = 2n ** 20n;
const SPECIAL: Readonly<Record<string, readonly bigint[]>> = {
  cookie: [0x765f706f69736f6en, 0x636f6e6563746978n],
  features: [0n, 1n, 2n, 3n, 6n],
  diskType: [0n, 1n, 2n, 3n, 4n, 5n, 6n],
  creatorApp: [0x74617000n, 0x77696e20n, 0x76706320n],
  creatorVersion: [1n, 0x10000n, 0x10001n, 0x10002n, 0x10003n, 0x10004n],
  currentSize: [0n, 512n, 2n * MiB, 3n * MiB, 4n * MiB, 16n * MiB, 2n ** 41n, 2n ** 41n + 2n * MiB, 2n ** 52n],
  timestamp: [0xffffffffn],
  parentTimestamp: [0xffffffffn, 0n],
  tableOffset: [0n, 512n, 1024n, 1536n, 2048n, 2560n, 3072n, 1537n],
  dataOffset: [0n, 512n, 1024n, 513n, 2n ** 64n - 1n],
  blockSize: [0n, 512n, 4096n, 2n ** 19n, 2n ** 20n, 2n ** 21n, 2n ** 22n, 2n ** 21n + 512n],
  maxBatEntries: [0n, 1n, 2n, 1024n, 4096n, 2n ** 20n],
  code: [0n, 0x4d616358n, 0x57326b75n, 0x57327275n, 0x4d616320n, 0x57693272n, 0x5769326bn, 0x58585858n],
  space: [0n, 1n, 2n, 511n, 512n, 513n, 1024n],
  offset: [0n, 512n, 1536n, 2048n, 3072n, 3584n],
  mapOffset: [0n, 512n, 1536n, 2048n, 2560n, 3072n],
  mapVersion: [0n, 0x10000n, 0x10001n, 0x10002n, 0x10003n],
};
