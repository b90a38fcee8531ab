import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { build } from 'esbuild';

/** One TypeScript program as one module at `outfile`, for Node 20, which does not read TypeScript. */
export async function bundleTs(program, outfile) {
  mkdirSync(dirname(outfile), { recursive: true });
  await build({
    entryPoints: [program],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    sourcemap: 'inline',
    logLevel: 'warning',
  });
}
