import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { Deadline } from '../base/deadline.ts';

/**
 * The first line that a program prints, for work that the kernel may keep for good: the program is started apart, and
 * left behind when it has answered or is late. 'deadline'; an Error where it ends and has said nothing.
 */
export async function answerApart(
  [program = '', ...args]: readonly string[],
  waitedFor: string,
  deadline: Deadline,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const child = spawn(program, args, { detached: true, cwd: '/', stdio: ['ignore', 'pipe', 'ignore'], env });
  try {
    return await deadline.race(firstLine(child, waitedFor), waitedFor);
  } finally {
    child.stdout.destroy();
    child.unref();
  }
}

/** It may be long after its answer that the process ends. */
function firstLine(child: ChildProcessByStdio<null, Readable, null>, waitedFor: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (chunk.includes('\n')) resolve(Buffer.concat(chunks).toString('utf8'));
    });
    child.stdout.on('end', () => reject(new Error(`${waitedFor} ended and said nothing`)));
    child.on('error', reject);
  });
}
