import { existsSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { DIVERTED_ENTRY, type Host, OLD_STOCK_DIR, SM_DIR, STOCK_DIR } from '../host.ts';
import { isOwnContent } from '../changing/own-content.ts';
import { type PathState, readState } from '../changing/path-state.ts';
import type { Original } from '../changing/placement.ts';
import { savedFile } from '../changing/saved-file.ts';

/**
 * The host's own entry for SR type lvmoiscsi: what is there, or, where RBDSR's or nothing is, what was there before.
 * That the journal knows; where it was lost, what RBDSR keeps of it tells; and where that was lost too, the module that
 * package sm would lead the entry to. Undefined where there is none.
 */
export function stockEntry(host: Host): Original | undefined {
  const current = readState(host.at(DIVERTED_ENTRY));
  const ours = isOwnContent(host, DIVERTED_ENTRY, current);
  if (!ours && current.kind !== 'absent') return asOriginal(current, host.at(DIVERTED_ENTRY));
  const known = [recorded(host), keptIn(host, STOCK_DIR), keptIn(host, OLD_STOCK_DIR)];
  const candidates = ours ? [...known, ...MODULES.map((target) => link(target))] : known;
  const usable = candidates.flatMap((candidate) => candidate ?? []).filter((candidate) => isUsable(host, candidate));
  return usable.at(0);
}

/** Where the entry leads in the versions of sm (xapi-project/sm, Makefile and mk/sm.spec.in of its branches). */
const MODULES = ['LVMoISCSISR.py', 'LVHDoISCSISR.py', '/usr/libexec/sm/drivers/LVMoISCSISR'];

function recorded(host: Host): Original | undefined {
  const found = host.journal.entries.findLast(({ path }) => path === DIVERTED_ENTRY)?.found;
  return found === undefined ? undefined : asOriginal(found, found.kind === 'file' ? savedFile(host, found) : '');
}

/** A link there is one of the SM folder, as seen from this one. */
function keptIn(host: Host, folder: string): Original | undefined {
  const path = `${folder}/LVMoISCSISR`;
  const state = readState(host.at(path));
  if (state.kind !== 'link') return asOriginal(state, host.at(path));
  const leadsTo = resolve(folder, state.target);
  const kept = readState(host.at(leadsTo));
  if (leadsTo === `${SM_DIR}/rbdsr-stock-program`) return asOriginal(kept, host.at(leadsTo));
  // 0.1.0 made every link absolute; package sm makes those to a neighbour relative.
  const isRelative = !state.target.startsWith('/') || (folder === OLD_STOCK_DIR && dirname(leadsTo) === SM_DIR);
  return link(isRelative ? relative(SM_DIR, leadsTo) : state.target);
}

function isUsable(host: Host, { state, contentAt }: Original): boolean {
  if (state.kind === 'file') return contentAt !== undefined && existsSync(contentAt);
  if (state.kind !== 'link') return false;
  const target = resolve(SM_DIR, state.target);
  return host.has(target) && !isOwnContent(host, target);
}

function asOriginal(state: PathState, contentAt: string): Original | undefined {
  if (state.kind === 'link') return { state };
  return state.kind === 'file' ? { state, contentAt } : undefined;
}

function link(target: string): Original {
  return { state: { kind: 'link', target } };
}
