import { join } from 'node:path';
import { build } from 'esbuild';
import { PROJECT_ROOT } from '../machine/project.ts';

let agent: Promise<Uint8Array> | undefined;

/** The program that runs in a host, in one file. */
export function agentBundle(): Promise<Uint8Array> {
  return (agent ??= bundle('lab/hosts/agent.ts'));
}

/** A program of this project for a host's Node, in one file. */
export async function bundle(program: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [join(PROJECT_ROOT, program)],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    write: false,
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error(`esbuild made nothing of ${program}`);
  return file.contents;
}
