import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import type { Protocol } from '../../../src/base/steps.ts';
import { protocols } from '../../../src/main/protocols.ts';
import { WALKED } from '../../support/every-step.ts';

const { strayFaults, tableFaults, tableOf } = (await import(
  pathToFileURL(join(import.meta.dirname, '../../../scripts/protocols.mjs')).href
)) as {
  readonly strayFaults: (protocols: readonly Protocol[], sources: string) => string[];
  readonly tableFaults: (protocols: readonly Protocol[], text: string) => string[];
  readonly tableOf: (protocol: Protocol) => string;
};

const text = `before\n\n${protocols.map(tableOf).join('\n\n')}\n\nafter\n`;

test('tables that say what the lists say', () => {
  expect(tableFaults(protocols, text)).toEqual([]);
});

test('every protocol is walked by one test', () => {
  const titles = protocols.map(({ title }) => title).toSorted();
  expect(Object.values(WALKED).flat().toSorted()).toEqual(titles);
});

const lists = protocols.map((protocol) => [protocol.title, protocol] as const);

test.each(lists)('%s: a step left out, two swapped, or a state in other words, is a fault', (title, protocol) => {
  const { steps } = protocol;
  const changed = steps.flatMap((step, index): Protocol['steps'][] => [
    steps.toSpliced(index, 1),
    steps.with(index, { ...step, leaves: { ...step.leaves, says: 'nothing' } }),
  ]);
  for (const index of steps.keys()) {
    if (index > 0) changed.push(steps.toSpliced(index - 1, 2, ...steps.slice(index - 1, index + 1).toReversed()));
  }
  for (const list of changed) expect(tableFaults([{ title, steps: list }], text)).toHaveLength(1);
});

test("a step of no protocol, and fault points that are no step's", () => {
  const [name] = protocols[0]?.steps.map((step) => step.name) ?? [];
  const sources = `step('no.such', x)\n step(\n  'nor.this', x) faultPoint('${name}'); faultPoint('another')`;
  expect(strayFaults(protocols, sources)).toEqual([
    'step no.such is in no protocol of src/main/protocols.ts',
    'step nor.this is in no protocol of src/main/protocols.ts',
    `fault point ${name} is written out: it is the name of a step`,
    'fault point another is written out: it is the name of a step',
  ]);
});

test.each(Object.keys(WALKED))('%s asks whether it walks all of its own', (file) => {
  const source = readFileSync(join(import.meta.dirname, '../../..', file), 'utf8');
  expect(source).toContain(`'${file}'`);
  expect(source).toMatch(/^ +expectAllWalked\(/m);
});
