import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { type Bench, type Reference, type Row, ratioOf, verdictOf } from './bench.ts';
import { discoveryBench } from './discovery.ts';
import { divertBench } from './divert.ts';
import { driverBench } from './driver.ts';
import { memoryBench } from './memory.ts';
import { nbdBench } from './nbd.ts';
import { planningBench } from './planning.ts';
import { scanBench } from './scan.ts';
import { startupBench } from './startup.ts';

// `npm run bench [name...]`: every benchmark, or the named ones, as a table here and as JSON in dist/bench.json.

const benches: readonly Bench[] = [
  startupBench,
  divertBench,
  scanBench,
  nbdBench,
  memoryBench,
  discoveryBench,
  planningBench,
  driverBench,
];
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !benches.some((bench) => bench.name === name));
if (unknown.length > 0) {
  console.error(`unknown benchmark ${unknown.join(', ')}; there are: ${benches.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

const results: Record<string, readonly Row[]> = {};
for (const bench of benches) {
  if (wanted.length > 0 && !wanted.includes(bench.name)) continue;
  console.error(`... ${bench.title}`);
  const rows = await bench.run((line) => console.error(`    ${line}`));
  results[bench.name] = rows;
  console.log(table(bench.title, rows));
}

mkdirSync('dist', { recursive: true });
const machine = { node: process.version, cpus: cpus().map(({ model }) => model) };
writeFileSync('dist/bench.json', `${JSON.stringify({ machine, results }, undefined, 2)}\n`);
console.error('written to dist/bench.json');

function table(title: string, rows: readonly Row[]): string {
  const head = ['metric', 'value', 'reference', 'ratio', 'aim', ''];
  const body = rows.map((row) => [
    row.metric,
    `${number(row.value)} ${row.unit}`,
    referencesOf(row)
      .map(({ name, value }) => `${name} ${number(value)}`)
      .join(', '),
    referencesOf(row)
      .map((reference) => ratioOf(row, reference)?.toFixed(2) ?? '')
      .join(', '),
    row.aim === undefined ? '' : `${row.aim.of} ${row.aim.bound} ${row.aim.limit}`,
    verdictOf(row) ?? '',
  ]);
  const lines = [head, ...body];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const rendered = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `\n${title}\n${rendered.join('\n')}\n`;
}

function referencesOf({ reference, second }: Row): Reference[] {
  return [reference, second].filter((one) => one !== undefined);
}

function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
