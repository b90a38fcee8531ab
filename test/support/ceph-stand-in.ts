import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a program did for one call. */
export interface Answer {
  readonly stdout?: string;
  readonly stderr?: string;
  /** Default 0. */
  readonly exit?: number;
}

/** The program's own arguments, joined by blanks, to its answers: one a call, the last for all that follow. */
export type Transcript = Readonly<Record<string, Answer | readonly Answer[]>>;

/**
 * An executable that stands for a program of another version: it answers by its transcript, and fails for what that
 * does not have.
 */
export class ProgramStandIn {
  readonly folder: string;
  readonly #calls: string;

  constructor(folder: string, program: string, transcript: Transcript) {
    this.folder = folder;
    this.#calls = join(folder, `${program}.calls`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(this.#calls, '');
    writeFileSync(join(folder, `${program}.json`), JSON.stringify(transcript));
    const path = join(folder, program);
    writeFileSync(path, `#!${process.execPath}\n${SCRIPT}`);
    chmodSync(path, 0o755);
  }

  /** In order, without what stands for the connection. */
  get calls(): readonly string[] {
    return readFileSync(this.#calls, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  }
}

const SCRIPT = `
const { appendFileSync, readFileSync } = require('node:fs');
const self = process.argv[1];
const words = process.argv.slice(2);
for (const option of ['--conf', '--name', '--connect-timeout']) {
  const at = words.indexOf(option);
  if (at >= 0) words.splice(at, 2);
}
const call = words.join(' ');
const before = readFileSync(self + '.calls', 'utf8').split('\\n').filter((line) => line === call).length;
appendFileSync(self + '.calls', call + '\\n');
const all = [JSON.parse(readFileSync(self + '.json', 'utf8'))[call] ?? { stderr: 'not in the transcript: ' + call, exit: 99 }].flat();
const { stdout = '', stderr = '', exit = 0 } = all[Math.min(before, all.length - 1)];
process.stderr.write(stderr);
process.stdout.write(stdout);
process.exitCode = exit;
`;
