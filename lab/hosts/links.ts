/** One way from a host to the rest: a tap device whose other end is a network card of the host. */
export interface Link {
  /** The tap, in the cluster's network: `ip link set NAME down` cuts the link. */
  readonly tap: string;
  /** Its address in the cluster's network. */
  readonly here: string;
  /** The host's. */
  readonly there: string;
  /** Of the host's card; the same after a power cut, for neighbours remember it. */
  readonly mac: string;
}

/** A host's three ways, so that one can be cut and the others not. */
export interface Links {
  /** To Ceph: the address that watchers and blocklist entries show. */
  readonly cluster: Link;
  /** To xapi. */
  readonly pool: Link;
  /** To the lab; no fault touches it. */
  readonly lab: Link;
}
