import type { Readable, Writable } from 'node:stream';
import type { ReadStream } from 'node:tty';
import { RbdsrError } from '../base/error.ts';
import { Secret } from '../base/secret.ts';

export interface SecretInput {
  readonly stdin: Readable & Partial<Pick<ReadStream, 'isTTY' | 'setRawMode'>>;
  /** Where the question goes. */
  readonly stderr: Writable;
}

/**
 * One line: from a terminal it is asked for and not shown, from anything else it is the first line. 'invalid-argument'
 * for an empty one; what was typed is in no error.
 */
export async function readSecret({ stdin, stderr }: SecretInput, what: string): Promise<Secret> {
  const line = stdin.isTTY === true ? await typed(stdin, stderr, what) : await firstLine(stdin);
  if (line !== '') return new Secret(line);
  throw new RbdsrError('invalid-argument', {
    what: `no ${what} was given`,
    expected: 'one line on the standard input',
  });
}

async function firstLine(stdin: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    const data = Buffer.from(chunk as Uint8Array | string);
    chunks.push(data);
    bytes += data.length;
    if (data.includes(LINE_FEED) || bytes > LIMIT) break;
  }
  const text = Buffer.concat(chunks).toString('utf8');
  return (text.split('\n')[0] ?? '').replace(/\r$/, '');
}

/** In raw mode the terminal shows nothing and edits nothing: erasing and giving up are ours. */
function typed(stdin: SecretInput['stdin'], stderr: Writable, what: string): Promise<string> {
  stderr.write(`${what}: `);
  stdin.setRawMode?.(true);
  return new Promise((resolve, reject) => {
    let text = '';
    const end = (finish: () => void): void => {
      stdin.off('data', onData);
      stdin.setRawMode?.(false);
      stdin.pause();
      stderr.write('\n');
      finish();
    };
    const onData = (chunk: Buffer | string): void => {
      for (const character of chunk.toString()) {
        if (character === '\r' || character === '\n') return end(() => resolve(text));
        if (character === CTRL_C || character === CTRL_D) return end(() => reject(givenUp(what)));
        if (character === CTRL_U) text = '';
        else if (character === DELETE || character === BACKSPACE) text = text.replace(/.$/su, '');
        else text += character;
      }
    };
    stdin.on('data', onData);
    stdin.resume();
  });
}

const LINE_FEED = 0x0a;
/** A line that is longer is no password and no key. */
const LIMIT = 64 * 1024;
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const CTRL_U = '\u0015';
const BACKSPACE = '\b';
const DELETE = '\u007f';

function givenUp(what: string): RbdsrError {
  return new RbdsrError('invalid-argument', { what: `no ${what} was typed` });
}
