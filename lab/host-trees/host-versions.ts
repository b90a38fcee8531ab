/** The versions whose trees differ: XenServer 6.5; 7.x; 8.2; XCP-ng 8.3 before and after sm 3.2.12-17; sm 4.x. */
export type HostVersion = '6.5' | '7.x' | '8.2' | '8.3a' | '8.3b' | '4.x';

export const HOST_VERSIONS: readonly HostVersion[] = ['6.5', '7.x', '8.2', '8.3a', '8.3b', '4.x'];

/**
 * What stands at a path: a text (mode 644), a program (755), a folder, or a link to an absolute path of the same tree.
 */
export type TreeEntry =
  | { readonly kind: 'file' | 'program'; readonly text: string }
  | { readonly kind: 'link'; readonly to: string }
  | { readonly kind: 'outside-link'; readonly to: string }
  | { readonly kind: 'folder' };

/**
 * `imp.load_source`, `spec_from_file_location` and `SourceFileLoader`, always given the real path and the entry's base
 * name.
 */
export type StockLoader = 'imp' | 'spec' | 'source-file';

export interface HostTreeOptions {
  /** What `#!` of the stock drivers and the tree's /usr/bin/python* stand for; a real interpreter of this machine. */
  readonly python?: string;
  /** The entry LVMoISCSISR is a file of its own, not a link (sm 4: a small separate executable). */
  readonly separateEntry?: boolean;
  /**
   * The stock iSCSI driver is this program; without it, one in Python that registers, loads and answers as the stock
   * one does.
   */
  readonly iscsiDriver?: string | undefined;
}
