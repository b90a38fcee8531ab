import type { PeerAddress } from '../../wire/connection.ts';
import type { Target } from '../../wire/osd-messages.ts';
import { flagsOf } from '../pool-fullness.ts';
import { isObject, list, number, object, parse, string } from '../tools/ceph-tool-json.ts';
import { parseEntityAddress } from './entity-address.ts';

/** What `ceph osd dump` says and somebody here asks. */
export interface ClusterDump {
  readonly pools: readonly PoolFacts[];
  /** Those that are up, where they listen for messenger v1, as the kernel speaks to them, or for v2 alone. */
  readonly osds: ReadonlyMap<number, PeerAddress>;
  /** "full", "pausewr", "noout". */
  readonly flags: readonly string[];
}

export interface PoolFacts {
  readonly id: number;
  readonly name: string;
  /** Placement groups. */
  readonly groups: number;
  /** Objects are hashed by object-hash.ts; very old pools have another. */
  readonly isHashKnown: boolean;
  /** Marked for RBD images; before Luminous (12) there are no marks, and every pool counts. */
  readonly isForImages: boolean;
  readonly flags: readonly string[];
  /** Data of an image can be written here: not to erasure code that takes whole objects alone. */
  readonly takesData: boolean;
}

const COMMAND = 'ceph osd dump';
/** CEPH_STR_HASH_RJENKINS. */
const RJENKINS = 2;
/** pg_pool_t::TYPE_ERASURE. */
const ERASURE = 3;

export function decodeDump(text: string): ClusterDump {
  const dump = object(parse(text, COMMAND), COMMAND);
  const osds = list(dump['osds'], COMMAND).flatMap((osd) => {
    const address = osd['up'] === 1 ? addressOf(osd) : undefined;
    return address === undefined ? [] : [[number(osd, 'osd', COMMAND), address] as const];
  });
  return { pools: list(dump['pools'], COMMAND).map(poolOf), osds: new Map(osds), flags: flagsOf(dump['flags']) };
}

function poolOf(pool: Readonly<Record<string, unknown>>): PoolFacts {
  const marks = pool['application_metadata'];
  const flags = flagsOf(pool['flags_names']);
  return {
    id: number(pool, 'pool', COMMAND),
    name: string(pool, 'pool_name', COMMAND),
    groups: number(pool, 'pg_num', COMMAND),
    isHashKnown: pool['object_hash'] === RJENKINS,
    isForImages: marks === undefined || (isObject(marks) && Object.hasOwn(marks, 'rbd')),
    flags,
    takesData: pool['type'] !== ERASURE || flags.includes('ec_overwrites'),
  };
}

/** Before Nautilus there is `public_addr` alone. */
function addressOf(osd: Readonly<Record<string, unknown>>): PeerAddress | undefined {
  const vector = isObject(osd['public_addrs']) ? osd['public_addrs']['addrvec'] : undefined;
  if (!Array.isArray(vector)) return parseEntityAddress(string(osd, 'public_addr', COMMAND));
  const [v1, v2] = ['v1', 'v2'].map((type) => {
    const found = list(vector, COMMAND).find((address) => address['type'] === type);
    if (found === undefined) return undefined;
    return parseEntityAddress(`${string(found, 'addr', COMMAND)}/${number(found, 'nonce', COMMAND)}`);
  });
  return v1 === undefined || v2 === undefined ? (v1 ?? v2) : { ...v1, forV2: v2 };
}

/** `ceph osd map`: `raw_pgid` has the whole hash, `pgid` the placement group. */
export function decodePlacement(text: string): Target {
  const command = 'ceph osd map';
  const answer = object(parse(text, command), command);
  const seed = (member: string): number => Number.parseInt(string(answer, member, command).split('.')[1] ?? '', 16);
  return {
    osd: number(answer, 'acting_primary', command),
    epoch: number(answer, 'epoch', command),
    hash: seed('raw_pgid'),
    group: seed('pgid'),
  };
}
