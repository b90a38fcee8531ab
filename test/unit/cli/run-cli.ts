import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';

/**
 * How the operator's command ended; of what it printed, which may be a whole disk, the sum, the length in bytes and, as
 * text, the beginning.
 */
export interface CliEnd {
  readonly code: number | null;
  readonly sha256: string;
  readonly bytes: number;
  readonly head: string;
  readonly stderr: string;
}

/** Characters, more or less. */
const HEAD = 65_536;

/** Runs the command of the product in a folder. */
export function runCli(product: string, argv: readonly string[], cwd: string): Promise<CliEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(product, 'cli.cjs'), ...argv], { cwd, timeout: 20_000 });
    const hash = createHash('sha256');
    let bytes = 0;
    let head = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      bytes += chunk.length;
      if (head.length < HEAD) head += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, sha256: hash.digest('hex'), bytes, head, stderr }));
  });
}
