/** Something that is wrong with an SR, in words for whoever has to decide what to do. */
export interface SrFinding {
  /** An error: data are lost, in danger or out of reach. A warning: something is left over, or is not as recorded. */
  readonly severity: 'error' | 'warning';
  readonly code: SrFindingCode;
  /** The volume, or `SR`, `xapi`, `this host`. */
  readonly where: string;
  /** As others have chosen it: whoever shows it escapes it. */
  readonly name?: string;
  readonly what: string;
  readonly means: string;
  /** What is safe to do, as a sentence or a command. */
  readonly todo: string;
}

export type SrFindingCode =
  // the volume group
  | 'vg-partial'
  | 'image-cut'
  // one disk
  | 'disk-unreadable'
  | 'vhd-damaged'
  | 'footer-lost'
  | 'volume-too-small'
  | 'not-inflated'
  // its chain
  | 'parent-missing'
  | 'parent-other'
  | 'parent-names-differ'
  | 'parent-not-hidden'
  | 'parent-larger'
  | 'chain-loops'
  | 'chain-too-deep'
  // what an operation has left
  | 'journal'
  | 'journal-unreadable'
  | 'journal-unfinished'
  | 'set-aside'
  | 'creation-unfinished'
  | 'log-without-disk'
  | 'stranger'
  // the metadata volume
  | 'metadata-missing'
  | 'metadata-damaged'
  | 'metadata-of-another'
  | 'record-without-volume'
  | 'volume-without-record'
  // this host
  | 'counted-inactive'
  | 'active-uncounted'
  | 'count-damaged'
  | 'mapped-twice'
  // xapi
  | 'xapi-without-volume'
  | 'volume-without-xapi'
  | 'xapi-differs'
  | 'two-writers';
