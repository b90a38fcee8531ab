import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RbdsrError } from '../../base/error.ts';
import { filesChange } from '../changing/change.ts';
import { DIVERT, DIVERTED_ENTRY, type Host, PRODUCT, SM_DIR, STOCK_DIR } from '../host.ts';
import { isOwnContent } from '../changing/own-content.ts';
import { readState } from '../changing/path-state.ts';
import type { Original, Placement, Plan } from '../changing/placement.ts';
import { stockEntry } from './stock-entry.ts';
import { proveStock } from './stock-proof.ts';
import { SM_PACKAGE } from '../sm-package.ts';

/**
 * Calls for SR type `lvmoiscsi` go through our dispatcher, which hands all but those with port 6789 to the stock
 * driver. Dispatcher and stock entry lie in the SM folder, and need nothing of /opt/rbdsr. Both are there before the
 * entry is replaced, and go after it is put back (undo-order.ts).
 */
export const divert = filesChange({
  name: 'divert',
  describe: 'the way in by port 6789 (SR type lvmoiscsi)',
  plan,
  prove: proveStock,
});

export const STOCK_ENTRY = `${STOCK_DIR}/LVMoISCSISR`;
/**
 * A stock entry that is a program of its own. It lies where it lay but for its name, as Python looks for its modules
 * beside it.
 */
export const STOCK_PROGRAM = `${SM_DIR}/rbdsr-stock-program`;
/** What DIVERT is a copy of. */
export const DISPATCHER = `${PRODUCT}/divert.py`;

function plan(host: Host): Plan {
  const current = readState(host.at(DIVERTED_ENTRY));
  const stock = stockEntry(host);
  if (stock !== undefined) {
    return {
      placements: [
        ...kept(stock),
        { path: DIVERT, want: { kind: 'file', data: readFileSync(host.at(DISPATCHER)), mode: 0o755 }, owner: 'ours' },
        { path: DIVERTED_ENTRY, want: { kind: 'link', target: 'rbdsr-divert.py' }, owner: 'theirs', before: stock },
      ],
    };
  }
  if (isOwnContent(host, DIVERTED_ENTRY, current)) throw lostStock();
  return { placements: [], notNeeded: `this host has no ${DIVERTED_ENTRY}: only SR type rbd can be used` };
}

function kept({ state, contentAt }: Original): readonly Placement[] {
  if (state.kind === 'link') {
    // Seen from a folder further down. Relative links stay so: the folder may be looked at from another root.
    const target = state.target.startsWith('/') ? state.target : join('..', state.target);
    return [{ path: STOCK_ENTRY, want: { kind: 'link', target }, owner: 'ours' }];
  }
  if (state.kind !== 'file' || contentAt === undefined) return [];
  const { mode, mtimeMs } = state;
  return [
    { path: STOCK_PROGRAM, want: { kind: 'file', data: readFileSync(contentAt), mode, mtimeMs }, owner: 'ours' },
    { path: STOCK_ENTRY, want: { kind: 'link', target: '../rbdsr-stock-program' }, owner: 'ours' },
  ];
}

function lostStock(): RbdsrError {
  return new RbdsrError('config-missing', {
    what: `${DIVERTED_ENTRY} is RBDSR's, and the host's own iSCSI driver that was there before is nowhere to be found`,
    todo: `Reinstall ${SM_PACKAGE}, then run rbdsr enable.`,
  });
}
