// The protocols: src/main/protocols.ts lists the steps of each, and docs/recovery.md has a table for each; this finds
// whatever differs, and a step that is in no protocol.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundleTs } from './bundle-ts.mjs';
import { project } from './setup.mjs';

const TABLES = 'docs/recovery.md';

/** What is wrong in the project at `root`, a line each; none where all is well. */
export async function protocolFaults(root) {
  const protocols = await readProtocols(root);
  const sources = readdirSync(join(root, 'src'), { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(root, 'src', name), 'utf8'));
  return [
    ...tableFaults(protocols, readFileSync(join(root, TABLES), 'utf8')),
    ...strayFaults(protocols, sources.join('\n')),
  ];
}

/** Protocols whose table, row by row, is not in the text. */
export function tableFaults(protocols, text) {
  return protocols
    .filter((protocol) => !`${text}\n`.includes(`\n\n${tableOf(protocol)}\n\n`))
    .map(
      (protocol) => `${TABLES} has no such table (or other steps, another order, other words):\n${tableOf(protocol)}`,
    );
}

/** Steps of the sources that are in no protocol, and fault points that are no step's: no test walks them. */
export function strayFaults(protocols, sources) {
  const known = new Set(protocols.flatMap(({ steps }) => steps.map(({ name }) => name)));
  const named = (pattern) => [...sources.matchAll(pattern)].map(([, name]) => name);
  return [
    ...named(/\bstep\(\s*'([^']+)'/g)
      .filter((name) => !known.has(name))
      .map((name) => `step ${name} is in no protocol of src/main/protocols.ts`),
    ...named(/\bfaultPoint\('([^']+)'/g).map((name) => `fault point ${name} is written out: it is the name of a step`),
  ];
}

/** As docs/recovery.md has it. */
export function tableOf({ title, steps }) {
  const rows = steps.map(({ name, does, leaves, mendedBy }) => {
    const cells = [name === undefined ? does : `${does} (\`${name}\`)`, leaves.says, mendedBy.says];
    return `| ${cells.join(' | ')} |`.replace('|  |', '| |');
  });
  return [`| ${title} | a crash after it leaves | mended by |`, '|---|---|---|', ...rows].join('\n');
}

async function readProtocols(root) {
  const outfile = join(root, 'build/check/protocols.mjs');
  await bundleTs(join(root, 'src/main/protocols.ts'), outfile);
  return (await import(pathToFileURL(outfile).href)).protocols;
}

/** `node scripts/protocols.mjs` writes the tables anew, each in the place of the one with its title. */
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = join(project, TABLES);
  let text = readFileSync(file, 'utf8');
  for (const protocol of await readProtocols(project)) {
    const [head] = tableOf(protocol).split('\n');
    const start = text.indexOf(`${head}\n`);
    if (start < 0) throw new Error(`${TABLES} has no table that begins with ${head}`);
    text = `${text.slice(0, start)}${tableOf(protocol)}${text.slice(text.indexOf('\n\n', start))}`;
  }
  writeFileSync(file, text);
}
