import { join } from 'node:path';
import { build } from 'esbuild';
import { PROJECT_ROOT } from '../machine/project.ts';

let bundle: Promise<Uint8Array> | undefined;

/** The program that runs in a host, in one file. */
export function agentBundle(): Promise<Uint8Array> {
  return (bundle ??= makeBundle());
}

async function makeBundle(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [join(PROJECT_ROOT, 'lab/hosts/agent.ts')],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    write: false,
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error('esbuild made no agent');
  return file.contents;
}
