import type { PathState } from './path-state.ts';

/** What has to be at a path. */
export type Want =
  | { readonly kind: 'absent' }
  | { readonly kind: 'folder'; readonly mode: number }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'file'; readonly data: string | Uint8Array; readonly mode: number; readonly mtimeMs?: number };

/** A path of the host that a change takes over. */
export interface Placement {
  /** As the host sees it. Missing folders above it are made, and taken away again. */
  readonly path: string;
  readonly want: Want;
  /**
   * 'theirs': the host or its administrator may put something new there, and that is then what disable puts back.
   * 'ours': nobody else has anything of that name.
   */
  readonly owner: 'ours' | 'theirs';
  /** The file is theirs but for a marked block (marked-block.ts). */
  readonly block?: true;
  /**
   * What was there before RBDSR, where RBDSR's own content is there now and no journal knows; nothing was, if not
   * given.
   */
  readonly before?: Original;
}

/** What a path was before RBDSR, and where a file's content is for this process. */
export interface Original {
  readonly state: PathState;
  readonly contentAt?: string;
}

/** What a change has to do on this host. */
export interface Plan {
  readonly placements: readonly Placement[];
  /** Why there is nothing to do. */
  readonly notNeeded?: string;
  /** Things that only a person can put right. */
  readonly remarks?: readonly Remark[];
}

export interface Remark {
  readonly path: string;
  readonly what: string;
  readonly todo: string;
}
