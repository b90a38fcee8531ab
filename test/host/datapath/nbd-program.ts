import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const project = join(dirname(fileURLToPath(import.meta.url)), '../../..');

/** The NBD server's program, bundled as it ships; inside the project, for that is where its native module is. */
export async function buildNbdProgram(): Promise<{ readonly command: readonly string[]; remove(): void }> {
  const outfile = join(project, `build/test/nbd-${process.pid}.cjs`);
  mkdirSync(dirname(outfile), { recursive: true });
  await build({
    entryPoints: [join(project, 'src/main/nbd-server.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    external: ['koffi'],
    define: { 'import.meta.url': 'BUNDLE_URL' },
    banner: { js: "const BUNDLE_URL=require('node:url').pathToFileURL(__filename).href;" },
    logLevel: 'warning',
  });
  return { command: [process.execPath, outfile], remove: () => rmSync(outfile, { force: true }) };
}
