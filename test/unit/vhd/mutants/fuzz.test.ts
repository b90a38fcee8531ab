import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ChildProgram, childProgram } from '../../../support/lvhd-child.ts';
import { placeBases } from './bases.ts';

// Ten thousand damaged images, each looked at by info, check and cat. A seed that once showed a fault is in
// test/fixtures/vhd/bad-seeds.json, with the date's other ones.

const IMAGES = 10_000;
const WORKERS = 2;
/** Above a Node that does nothing. */
const MOST_KIB = 256 * 1024;
const FIRST = Number(process.env['RBDSR_FUZZ_FROM'] ?? 1);

const badSeeds = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../fixtures/vhd/bad-seeds.json'), 'utf8'),
) as readonly number[];

let folder = '';
let program: ChildProgram | undefined;
beforeAll(async () => {
  folder = await placeBases('small');
  program = await childProgram(`${import.meta.dirname}/fuzz-child.ts`);
});
afterAll(() => {
  program?.[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

test('ten thousand fuzzed images: no crash, no hang, and nothing printed that nobody vouches for', async () => {
  const bare = execFileSync(process.execPath, ['-e', 'console.log(process.resourceUsage().maxRSS)']);
  const each = IMAGES / WORKERS;
  const shares = Array.from({ length: WORKERS }, (_, i) => [FIRST + i * each, FIRST + (i + 1) * each].map(String));
  const runs = [...shares, ['0', '0', ...badSeeds.map(String)]];
  const ends = await Promise.all(runs.map((share, i) => look(`progress-${i}`, share)));
  for (const { faults, peakKiB } of ends) {
    expect(faults).toEqual([]);
    expect(peakKiB - Number(bare)).toBeLessThan(MOST_KIB);
  }
}, 300_000);

/** One process over a share of the seeds; one that dies or hangs is a fault of the seed that it had in hand. */
async function look(name: string, seeds: readonly string[]): Promise<{ faults: unknown[]; peakKiB: number }> {
  const progress = join(folder, name);
  const { code, signal, output } = await program!.run([folder, progress, ...seeds], {}, 240_000);
  const lines = output.trim().split('\n');
  if (code !== 0) {
    const seed = readFileSync(progress, 'utf8').trim();
    return { faults: [{ seed, code, signal, output: output.slice(-2000) }], peakKiB: 0 };
  }
  const { peakKiB } = JSON.parse(lines.pop() ?? '{}') as { readonly peakKiB: number };
  return { faults: lines.slice(0, 20).map((line) => JSON.parse(line) as unknown), peakKiB };
}
