import { sha256Of } from './path-state.ts';
import type { Want } from './placement.ts';

/** What fingerprint (path-state.ts) says of a path that is as it is wanted. */
export function fingerprintOfWant(want: Want): string {
  if (want.kind === 'link') return `link ${want.target}`;
  if (want.kind === 'file') return `file ${want.mode.toString(8)} ${sha256Of(want.data)}`;
  return want.kind;
}
