import { copyFileSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { messageOf, RbdsrError } from '../../../../src/base/error.ts';
import type { CliCall } from '../../../../src/cli/cli-call.ts';
import { catVhd } from '../../../../src/cli/disk/vhd-cat.ts';
import { showCheck } from '../../../../src/cli/disk/vhd-check.ts';
import { showVhd } from '../../../../src/cli/disk/vhd-info.ts';
import type { ImageFinding } from '../../../../src/vhd/check/findings.ts';
import { Mutants, SMALL_BASES } from './bases.ts';
import { FuzzedFile } from './fuzzed-file.ts';
import type { ImageEdit } from './image-edit.ts';
import { mutate, scribble } from './mutations.ts';
import { plainContent } from './plain-reader.ts';
import { Random } from './random.ts';

// Looks at one fuzzed image after another by the operator's command, in this one process, and prints a line for each
// that is not answered as it has to be: fuzz-child.ts FOLDER PROGRESS SEED...

/** Of what cat streams, this much is looked at: a damaged size may be 2 TiB. */
const ENOUGH = 4 * 1024 * 1024;
const LONGEST_MS = 10_000;

/** Errors of check after which nobody knows the content. */
const TOUCHING = [
  'too-small',
  'too-short',
  'cut-short',
  'header',
  'block-beyond-end',
  'block-overlap',
  'batmap-unallocated',
  'batmap-not-full',
];

class ReaderLeft extends Error {}

interface End {
  /** Undefined where it failed. */
  readonly code?: number;
  readonly error?: unknown;
  readonly chunks: readonly Buffer[];
  readonly ms: number;
}

/** One command, to its end or until its reader has enough. */
async function ended(command: (call: CliCall) => Promise<number>): Promise<End> {
  const chunks: Buffer[] = [];
  let length = 0;
  const write = (chunk: string | Buffer): boolean => {
    if (length >= ENOUGH) throw new ReaderLeft();
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    chunks.push(bytes);
    length += bytes.length;
    return true;
  };
  const out = { write } as unknown as Writable;
  const call: CliCall = { versionLine: '', root: '', stdout: out, stderr: out, print: write };
  const start = performance.now();
  const end = (rest: Pick<End, 'code' | 'error'>): End => ({
    ...rest,
    chunks,
    ms: performance.now() - start,
  });
  try {
    return end({ code: await command(call) });
  } catch (error) {
    return error instanceof ReaderLeft ? end({ code: 0 }) : end({ error });
  }
}

/** What is wrong with the answers on one image. */
async function problems(path: string, edit: ImageEdit, below: Buffer): Promise<string[]> {
  const ends = {
    info: await ended((call) => showVhd(call, path, {})),
    check: await ended((call) => showCheck(call, path, { json: true })),
    cat: await ended((call) => catVhd(call, path, {})),
  };
  const found: string[] = [];
  for (const [verb, { code, error, ms }] of Object.entries(ends)) {
    const isRefused = error instanceof RbdsrError && error.code !== 'internal';
    if (code !== 0 && code !== 1 && !isRefused) found.push(`${verb} crashes: ${code ?? stackOf(error)}`);
    if (ms > LONGEST_MS) found.push(`${verb} takes ${ms} ms`);
  }
  const { cat, check } = ends;
  if (cat.code !== 0) {
    if (cat.chunks.length > 0) found.push(`cat prints before it refuses: ${messageOf(cat.error)}`);
    return found;
  }
  if (check.code === undefined) return [...found, `cat prints what is no VHD: ${messageOf(check.error)}`];
  const { findings } = JSON.parse(Buffer.concat(check.chunks).toString()) as {
    readonly findings: readonly ImageFinding[];
  };
  const errors = findings.filter(({ severity }) => severity === 'error');
  const touching = errors.filter(({ code }) => TOUCHING.includes(code));
  if (touching.length > 0) found.push(`cat vouches for ${touching.map(({ message }) => message).join('; ')}`);
  if (errors.length === 0) {
    const content = plainContent((at, length) => edit.bytes(at, length), edit.size, ENOUGH, below);
    if (!begins(cat.chunks, content)) found.push('cat prints other bytes');
  }
  return found;
}

/** The chunks begin with all of it. */
function begins(chunks: readonly Buffer[], content: Buffer): boolean {
  let at = 0;
  for (const chunk of chunks) {
    const part = content.subarray(at, at + chunk.length);
    if (!chunk.subarray(0, part.length).equals(part)) return false;
    at += part.length;
  }
  return at === content.length;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
}

/** The content of the parents of the bases, which no seed changes. */
function parentContent(mutants: Mutants, base: string): Buffer {
  const parent = PARENTS[base];
  if (parent === undefined) return Buffer.alloc(0);
  const { edit } = mutants.make(parent, new Random(0), 0);
  return plainContent((at, length) => edit.bytes(at, length), edit.size, ENOUGH, Buffer.alloc(0));
}
const PARENTS: Readonly<Record<string, string>> = {
  'own/child.vhd': 'own/dynamic.vhd',
  'field/chain31/l02.vhd': 'field/chain31/l01.vhd',
  'field/fixed/child.vhd': 'field/fixed/hyperv.vhd',
};

const [folder = '', progress = '', from = '0', to = '0', ...more] = process.argv.slice(2);
const seeds =
  more.length > 0 ? more.map(Number) : Array.from({ length: Number(to) - Number(from) }, (_, i) => Number(from) + i);
const mutants = new Mutants(folder);
const files = new Map<string, { readonly file: FuzzedFile; readonly below: Buffer }>();
for (const base of SMALL_BASES) {
  const path = join(folder, dirname(base), `fuzzed-${process.pid}.vhd`);
  copyFileSync(join(folder, base), `${path}-${files.size}`);
  const file = new FuzzedFile(`${path}-${files.size}`, openSync(join(folder, base), 'r'));
  files.set(base, { file, below: parentContent(mutants, base) });
}
writeFileSync(progress, '');
const at = openSync(progress, 'w');
for (const seed of seeds) {
  writeSync(at, String(seed).padEnd(12), 0);
  const random = new Random(seed);
  const base = random.pick(SMALL_BASES);
  const changes = 1 + random.below(3);
  const { edit, what } = mutants.make(base, random, changes, random.below(8) === 0 ? scribble : mutate);
  const { file, below } = files.get(base)!;
  file.become(edit);
  for (const problem of await problems(file.path, edit, below)) console.log(JSON.stringify({ seed, what, problem }));
  file.restore(edit);
}
console.log(JSON.stringify({ peakKiB: process.resourceUsage().maxRSS }));
