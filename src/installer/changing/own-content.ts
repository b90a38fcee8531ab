import { readFileSync, readlinkSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DIVERT, type Host, PRODUCT } from '../host.ts';
import { withoutBlock } from './marked-block.ts';
import { fingerprint, type PathState, readState, sha256Of } from './path-state.ts';
import type { Placement } from './placement.ts';
import { saveFile } from './saved-file.ts';
import { fingerprintOfWant } from './want-fingerprint.ts';

/** What was there before RBDSR, where that is RBDSR's to tell; its content where that is a file. */
export interface Before {
  readonly state: PathState;
  readonly content?: Uint8Array;
}

/**
 * What was at a path before RBDSR, where its own content is there now and the journal knows nothing of it: /opt/rbdsr
 * was lost, and installed again. Undefined where what is there is the host's.
 */
export function beforeOurs(host: Host, placement: Placement, current: PathState): Before | undefined {
  const { path, before } = placement;
  if (placement.block === true) return withoutOurLines(host, path, current);
  const ours =
    isOwnContent(host, path, current) ||
    (placement.owner === 'ours' &&
      (fingerprint(current) === fingerprintOfWant(placement.want) || namesUs(host, path, current)));
  if (!ours) return undefined;
  if (before === undefined) return { state: { kind: 'absent' } };
  return {
    state: before.state,
    ...(before.contentAt === undefined ? {} : { content: readFileSync(before.contentAt) }),
  };
}

/**
 * A link into /opt/rbdsr or to the dispatcher, by however many links; the dispatcher itself, of any version, or a copy
 * of it.
 */
export function isOwnContent(host: Host, path: string, state: PathState = readState(host.at(path))): boolean {
  let at = path;
  for (let now = state, steps = 0; now.kind === 'link' && steps < 16; steps += 1) {
    at = resolve(dirname(at), readlinkSync(host.at(at)));
    if (at === DIVERT || at === PRODUCT || at.startsWith(`${PRODUCT}/`)) return true;
    now = readState(host.at(at));
  }
  return readState(host.at(at)).kind === 'file' && DISPATCHER_MARK.test(readFileSync(host.at(at), 'latin1'));
}

/** Its last line, in every version. */
const DISPATCHER_MARK = /^_rbdsr_enter\(globals\(\)\)$/m;

/** What RBDSR writes says so, whatever its version. */
function namesUs(host: Host, path: string, state: PathState): boolean {
  return state.kind === 'file' && readFileSync(host.at(path), 'latin1').includes('RBDSR');
}

/** Keeps what disable is to put back. */
export function keepBefore(host: Host, { state, content }: Before): PathState {
  if (state.kind === 'file' && content !== undefined) saveFile(host, state, () => content);
  return state;
}

function withoutOurLines(host: Host, path: string, state: PathState): Before | undefined {
  if (state.kind !== 'file') return undefined;
  const rest = withoutBlock(readFileSync(host.at(path), 'utf8'));
  if (rest === undefined) return undefined;
  // Where there was no file, RBDSR began one (module-load.ts).
  if (rest === '' || rest === '#!/bin/sh\n') return { state: { kind: 'absent' } };
  return { state: { ...state, sha256: sha256Of(rest) }, content: Buffer.from(rest) };
}
