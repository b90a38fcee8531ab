/** One VDI as the storage has it. */
export interface StorageVdi {
  readonly uuid: string;
  /** Bytes. */
  readonly virtualSize: number;
  /** Bytes. */
  readonly physicalUtilisation: number;
  /** Left out where the storage cannot tell. */
  readonly readOnly?: boolean;
  /**
   * False for the hidden parent of a snapshot or clone, which people do not see. Applies to new records only, as do the
   * next three.
   */
  readonly managed: boolean;
  readonly nameLabel?: string;
  readonly nameDescription?: string;
  readonly type?: string;
  /**
   * sm_config keys the storage decides: a value, or null for "must not be there". Keys it does not name stay as they
   * are.
   */
  readonly smConfig?: Readonly<Record<string, string | null>>;
  /** True when `smConfig` is everything: keys it does not name are removed. */
  readonly smConfigIsWhole?: boolean;
  /** sm_config keys that are never touched, besides those that belong to operations in progress. Default: key_hash. */
  readonly keepKeys?: readonly string[];
  readonly isASnapshot?: boolean;
  readonly snapshotTime?: string;
  /** The uuid of the VDI it is a snapshot of. */
  readonly snapshotOf?: string;
  /** The pool, for VDIs of type metadata, as the storage names it. */
  readonly metadataOfPool?: string;
  /** Left out where the storage does not know of changed block tracking. */
  readonly cbtEnabled?: boolean;
}
