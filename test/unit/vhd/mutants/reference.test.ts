import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkVhd } from '../../../../src/vhd/check/check.ts';
import { BASES, Mutants, placeBases } from './bases.ts';
import { DISAGREEMENTS, type Verdicts } from './disagreements.ts';
import { Random } from './random.ts';

// What blktap's checker says of mutants, one changed field each, and what ours says of the same ones. The verdicts are
// recorded, the mutants are made anew.

interface Recorded {
  readonly by: string;
  readonly at: string;
  /** [seed, what was changed, exit code or signal, first line of what it says] */
  readonly mutants: readonly (readonly [seed: number, what: string, end: number | string, says: string])[];
}

const recorded = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../fixtures/vhd/reference-verdicts.json'), 'utf8'),
) as Recorded;

let mutants: Mutants;
beforeAll(async () => {
  mutants = new Mutants(await placeBases());
});
afterAll(() => mutants[Symbol.dispose]());

test('of each mutant ours says sound or not as vhd-util check does, or a row of the table says why not', async () => {
  expect(recorded.mutants.length).toBeGreaterThanOrEqual(600);
  const used = new Map<string, number>();
  const unexplained: unknown[] = [];
  for (const [seed, what, end, says] of recorded.mutants) {
    const random = new Random(seed);
    const mutant = mutants.make(random.pick(BASES), random, 1);
    expect({ seed, what: mutant.what }).toEqual({ seed, what });
    const findings = await checkVhd(mutant.edit.io(), { now: new Date(recorded.at) });
    const errors = findings.filter(({ severity }) => severity === 'error').map(({ code }) => code);
    const verdicts: Verdicts = { what, says, theirs: end === 0, ours: errors.length === 0, errors, findings };
    if (verdicts.theirs === verdicts.ours) continue;
    const rows = DISAGREEMENTS.filter(({ is }) => is(verdicts));
    if (rows.length !== 1) unexplained.push({ seed, what, end, says, findings, rows: rows.map(({ name }) => name) });
    for (const { name } of rows) used.set(name, (used.get(name) ?? 0) + 1);
  }
  expect(unexplained).toEqual([]);
  expect(DISAGREEMENTS.filter(({ name }) => !used.has(name))).toEqual([]);
});
