import type { VdiNode } from '../lv-table.ts';
import { vdiTypeOfLv } from '../names.ts';
import type { VdiMetadata } from './record.ts';
import type { Salvage } from './salvage.ts';
import type { SrMetadata } from './sr-sectors.ts';

/** Where the names of a record come from; `uuid`: nothing knows them, the disk is called by its uuid. */
export type RecordSource = 'xapi' | 'volume' | 'uuid';

/** `scanError`: why it is not known whether it is hidden. */
export type RebuildNode = Pick<VdiNode, 'uuid' | 'kind' | 'lvName' | 'hidden' | 'old' | 'scanError'>;

export interface RebuildPlan {
  readonly sr: SrMetadata;
  readonly vdis: readonly { readonly record: VdiMetadata; readonly source: RecordSource }[];
  /** Records that can be read and are left out, for no LV belongs to them. */
  readonly dropped: readonly VdiMetadata[];
  /**
   * Disks of which nobody has a record, nor can tell whether they are a user's disk or the base copy of others. They
   * get none: every scan decides by the volume itself, whereas a wrong record would make a base copy a disk that people
   * can write to and delete.
   */
  readonly undecided: readonly RebuildNode[];
}

export interface RebuildInput {
  readonly uuid: string;
  /** xapi's word on the SR and its disks, where it can be asked; it counts before the volume's. */
  readonly xapi?: {
    readonly sr: Partial<Omit<SrMetadata, 'uuid'>>;
    readonly vdis: readonly VdiMetadata[];
  };
  readonly salvaged: Salvage;
  /** The disks there are. */
  readonly nodes: readonly RebuildNode[];
  /** Disks whose data is gone and whose log of changed blocks is there: their record is its name. */
  readonly logs?: readonly string[];
  /** Whether those are all: without the whole volume group, a record without an LV is kept. */
  readonly allNodes: boolean;
}

/**
 * What a metadata volume written anew holds: one record for every disk that is known, in the order they had, new ones
 * last. Pure.
 */
export function planRebuild(input: RebuildInput): RebuildPlan {
  const { salvaged, xapi } = input;
  const nodes = new Map(input.nodes.filter(({ old }) => !old).map((node) => [String(node.uuid), node]));
  const stored = new Map(salvaged.vdis.map((record) => [record.uuid, record]));
  const known = new Map((xapi?.vdis ?? []).map((record) => [record.uuid, record]));
  const isRecorded = (uuid: string): boolean => known.has(uuid) || stored.has(uuid);
  const present = new Set([...nodes.keys(), ...(input.logs ?? []).filter(isRecorded)]);
  const kept = [...stored.keys()].filter((uuid) => present.has(uuid) || !input.allNodes);
  const undecided = [...nodes.values()].filter(({ uuid, scanError }) => scanError !== undefined && !isRecorded(uuid));
  const left = new Set<string>(undecided.map(({ uuid }) => uuid));
  const vdis = [...new Set([...kept, ...present])]
    .filter((uuid) => !left.has(uuid))
    .map((uuid) => {
      const node = nodes.get(uuid);
      const vdiType = node === undefined ? {} : { vdiType: vdiTypeOfLv(node.lvName, node.kind) };
      const fromXapi = known.get(uuid);
      if (fromXapi !== undefined) return { record: { ...fromXapi, ...vdiType }, source: 'xapi' as const };
      const record = stored.get(uuid);
      if (record !== undefined) return { record: { ...record, ...vdiType }, source: 'volume' as const };
      return { record: { ...namedByUuid(uuid, node?.hidden ?? false), ...vdiType }, source: 'uuid' as const };
    });
  return {
    sr: srOf(input),
    vdis,
    dropped: salvaged.vdis.filter(({ uuid }) => input.allNodes && !present.has(uuid)),
    undecided,
  };
}

function srOf({ uuid, xapi, salvaged }: RebuildInput): SrMetadata {
  const { sr } = salvaged;
  return {
    uuid,
    allocation: xapi?.sr.allocation ?? sr?.allocation ?? 'thick',
    nameLabel: xapi?.sr.nameLabel ?? nonEmpty(sr?.nameLabel) ?? uuid,
    nameDescription: xapi?.sr.nameDescription ?? sr?.nameDescription ?? '',
  };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

/** A hidden node is a base copy: xapi lists it unmanaged and read-only. */
function namedByUuid(uuid: string, hidden: boolean): VdiMetadata {
  return {
    uuid,
    nameLabel: uuid,
    nameDescription: '',
    isASnapshot: false,
    snapshotOf: '',
    snapshotTime: '',
    type: 'user',
    vdiType: 'vhd',
    readOnly: hidden,
    managed: !hidden,
    metadataOfPool: '',
  };
}
