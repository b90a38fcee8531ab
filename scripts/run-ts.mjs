// Bundles one TypeScript program and runs it: `node scripts/run-ts.mjs lab/demo.ts [args]`.
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundleTs } from './bundle-ts.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [entry, ...args] = process.argv.slice(2);
if (entry === undefined) throw new Error('usage: run-ts.mjs PROGRAM.ts [ARGUMENT...]');

const outfile = join(
  root,
  'build/lab',
  `${relative(root, join(root, entry)).replaceAll('/', '-').replace(/\.ts$/, '')}.mjs`,
);
await bundleTs(join(root, entry), outfile);
process.argv = [process.argv[0], outfile, ...args];
await import(pathToFileURL(outfile).href);
