import { RbdsrError } from '../../base/error.ts';

/** One line of `tap-ctl list`. A minor without a process is allocated only; a process without an image is not open. */
export interface Tapdisk {
  readonly pid?: number;
  readonly minor?: number;
  /** Bits of blktap `tapdisk-vbd.h`, TD_VBD_*. */
  readonly state: number;
  readonly image?: { readonly kind: string; readonly path: string };
}

/** TD_VBD_PAUSED. */
const PAUSED = 0x20;

export function isPaused(tapdisk: Tapdisk): boolean {
  return (tapdisk.state & PAUSED) !== 0;
}

/**
 * Lines of `pid=<n> minor=<m> state=<hex> args=<type>:<path>`, where any value may be `-` or missing; fields are one
 * space apart and that of `args`, the last, may hold spaces itself.
 */
export function parseTapdisks(text: string): readonly Tapdisk[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(parseLine);
}

/**
 * Those with an image at a path that `wanted` picks. The lines of other drivers' tapdisks are not looked at further: an
 * image in a file may have any name, one with a line break in it too.
 */
export function parseServing(text: string, wanted: (path: string) => boolean): readonly Tapdisk[] {
  const lines = text.split('\n').filter((line) => wanted(/ ?args=[^:]*:(.*)$/.exec(line)?.[1] ?? ''));
  return parseTapdisks(lines.join('\n'));
}

/** Of tapdisks that are listed without a minor: idle, or too late with what they serve (unheard-tapdisk.ts). */
export function pidsWithoutMinor(text: string): readonly number[] {
  return [...text.matchAll(/^pid=([0-9]+)(?! minor=[0-9])\b/gm)].map(([, pid]) => Number(pid));
}

function parseLine(line: string): Tapdisk {
  const fields = /^(?:pid=(\S*))? ?(?:minor=(\S*))? ?(?:state=(\S*))? ?(?:args=(.*))?$/.exec(line.trimStart());
  if (fields === null) throw badLine(line);
  const [, pid, minor, state, args] = fields;
  const image = imageOf(line, args);
  const pidNumber = numberOf(line, pid, 10);
  const minorNumber = numberOf(line, minor, 10);
  return {
    ...(pidNumber === undefined ? {} : { pid: pidNumber }),
    ...(minorNumber === undefined ? {} : { minor: minorNumber }),
    state: numberOf(line, state, 16) ?? 0,
    ...(image === undefined ? {} : { image }),
  };
}

function numberOf(line: string, text: string | undefined, base: 10 | 16): number | undefined {
  if (text === undefined || text === '-' || text === '') return undefined;
  const valid = base === 10 ? /^[0-9]+$/.test(text) : /^(0x)?[0-9a-f]+$/i.test(text);
  if (!valid) throw badLine(line);
  return Number.parseInt(text, base);
}

function imageOf(line: string, args: string | undefined): Tapdisk['image'] {
  if (args === undefined || args === '-' || args === '') return undefined;
  const colon = args.indexOf(':');
  if (colon <= 0) throw badLine(line);
  return { kind: args.slice(0, colon), path: args.slice(colon + 1) };
}

function badLine(line: string): RbdsrError {
  return new RbdsrError('tapdisk-failed', {
    what: 'tap-ctl list printed a line that is not understood',
    expected: 'pid=<n> minor=<m> state=<hex> args=<type>:<path>',
    found: JSON.stringify(line.slice(0, 200)),
  });
}
