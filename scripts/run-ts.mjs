// Bundles one TypeScript program and runs it: `node scripts/run-ts.mjs lab/demo.ts [args]`. Node 20 does not read
// TypeScript.
import { mkdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [entry, ...args] = process.argv.slice(2);
if (entry === undefined) throw new Error('usage: run-ts.mjs PROGRAM.ts [ARGUMENT...]');

const outfile = join(
  root,
  'build/lab',
  `${relative(root, join(root, entry)).replaceAll('/', '-').replace(/\.ts$/, '')}.mjs`,
);
mkdirSync(dirname(outfile), { recursive: true });
await build({
  entryPoints: [join(root, entry)],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning',
});
process.argv = [process.argv[0], outfile, ...args];
await import(pathToFileURL(outfile).href);
