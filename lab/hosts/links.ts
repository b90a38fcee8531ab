/** One way from a host to the rest: a tap device whose other end is a network card of the host. */
export interface Link {
  /**
   * The tap, in the cluster's network. Set down, it loses its user-mode kernel for good: a cut is a route (lab/faults).
   */
  readonly tap: string;
  /** Its address in the cluster's network. */
  readonly here: string;
  /** The host's. */
  readonly there: string;
  /** Of the host's card; the same after a power cut, for neighbours remember it. */
  readonly mac: string;
}

/** What a host calls its end of each way. */
export const CARDS = { cluster: 'vec0', pool: 'vec1', lab: 'vec2' } as const;

/** A host's three ways, so that one can be cut and the others not. */
export interface Links {
  /** To Ceph: the address that watchers and blocklist entries show. */
  readonly cluster: Link;
  /** To xapi. */
  readonly pool: Link;
  /** To the lab; no fault touches it. */
  readonly lab: Link;
}
