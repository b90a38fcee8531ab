import { readFileSync, writeSync } from 'node:fs';
import type { Outcome, Surroundings } from '../sm/run-command.ts';
import { openCallDirectory } from '../system/call-directory.ts';

/**
 * A worker of the launcher: it hands the request over on stdin, so that no argv of ours holds a secret, and takes the
 * answer from the call's directory. Called without it, for tests and by hand, the request is the one argument and the
 * answer goes to stdout. RBDSR_ROOT, for tests, is a prefix of every path of the host. The process ends when nothing it
 * has started is left, not before: until then it is a late writer of its SR.
 */
export async function answerOneCall(
  run: (argv: readonly string[], surroundings: Surroundings) => Promise<Outcome>,
): Promise<void> {
  const callDirectory = openCallDirectory();
  process.once('exit', () => callDirectory?.finish());
  // Nothing is left by then: V8 need not take its heap apart, either.
  process.once('beforeExit', () => process.exit());
  const argv = callDirectory === undefined ? process.argv.slice(2) : [readFileSync(0, 'utf8')];
  const { stdout, stderr } = await run(argv, { root: process.env['RBDSR_ROOT'] ?? '', callDirectory });
  if (callDirectory !== undefined) {
    callDirectory.answer(stdout, stderr);
    return;
  }
  print(1, stdout);
  print(2, stderr);
}

/**
 * Node's own stdout and stderr cost milliseconds to make; they are needed only where the reader does not take all at
 * once.
 */
function print(fd: 1 | 2, text: string): void {
  const bytes = Buffer.from(text);
  const written = bytes.length === 0 ? 0 : writeSync(fd, bytes);
  if (written < bytes.length) (fd === 1 ? process.stdout : process.stderr).write(bytes.subarray(written));
}
