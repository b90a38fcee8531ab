import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { filesChange } from '../change.ts';
import { type Host, PRODUCT, SM_DIR, STOCK_DIR } from '../host.ts';
import { type PathState, readState } from '../path-state.ts';
import type { Plan, Want } from '../placement.ts';
import { savedFile } from '../put.ts';

/**
 * Calls for SR type `lvmoiscsi` go through our dispatcher, which hands all but those with port 6789 to the stock driver. The stock entry is
 * kept under the same name in a folder of ours: where it is a link, a link to the same target; where it is a program, the program. The
 * copy is there before the entry is replaced, and goes after the entry is put back.
 */
export const divert = filesChange({
  name: 'divert',
  describe: 'the way in by port 6789 (SR type lvmoiscsi)',
  plan,
});

export const DIVERTED_ENTRY = `${SM_DIR}/LVMoISCSISR`;
export const STOCK_ENTRY = `${STOCK_DIR}/LVMoISCSISR`;
export const DISPATCHER = `${PRODUCT}/divert.py`;

function plan(host: Host): Plan {
  const original = originalOf(host);
  if (original === undefined) {
    return { placements: [], notNeeded: `this host has no ${DIVERTED_ENTRY}: only SR type rbd can be used` };
  }
  return {
    placements: [
      { path: STOCK_ENTRY, want: original, owner: 'ours' },
      { path: DIVERTED_ENTRY, want: { kind: 'link', target: DISPATCHER }, owner: 'theirs' },
    ],
  };
}

/** The stock entry: what is there, or, where our link or nothing is, what was there before. */
function originalOf(host: Host): Want | undefined {
  const current = readState(host.at(DIVERTED_ENTRY));
  const isOurs = current.kind === 'link' && current.target === DISPATCHER;
  const before = host.journal.entry(divert.name, DIVERTED_ENTRY)?.found;
  if (isOurs || current.kind === 'absent') {
    return before === undefined ? undefined : asWant(before, before.kind === 'file' ? savedFile(host, before) : '');
  }
  return asWant(current, host.at(DIVERTED_ENTRY));
}

function asWant(state: PathState, contentAt: string): Want | undefined {
  if (state.kind === 'link') return { kind: 'link', target: resolve(SM_DIR, state.target) };
  if (state.kind !== 'file') return undefined;
  return { kind: 'file', data: readFileSync(contentAt), mode: state.mode, mtimeMs: state.mtimeMs };
}
