import { spawnSync } from 'node:child_process';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { quoteArgv } from '../../../src/system/ssh/ssh-quote.ts';

/** Any text an argument can be: no NUL, and what UTF-8 can carry. */
const word = fc
  .string({ unit: 'binary' })
  .filter((text) => !text.includes('\0') && Buffer.from(text).toString() === text);
const nasty = fc
  .array(fc.constantFrom("'", '"', '\\', '$', '`', '\n', ' ', '!', '*', '~', '#', '(', '-', ';', '&', '|', 'é'))
  .map((characters) => characters.join(''));

describe('one command line for a remote shell', () => {
  test.each(['sh', 'bash'])('%s takes it apart into the same words', (shell) => {
    const property = fc.property(fc.array(fc.oneof(word, nasty), { maxLength: 8 }), (words) => {
      const line = quoteArgv(['printf', String.raw`%s\0`, ...words]);
      const { stdout } = spawnSync(shell, ['-c', line], {
        encoding: 'utf8',
        env: { LC_ALL: 'C.UTF-8', PATH: '/usr/bin:/bin' },
      });
      // printf prints its format once even without an argument.
      expect(stdout).toBe(words.length === 0 ? '\0' : words.map((text) => `${text}\0`).join(''));
    });
    fc.assert(property, { numRuns: 150 });
  });

  test('a word that holds a NUL is refused', () => {
    expect(() => quoteArgv(['a\0b'])).toThrow(RangeError);
  });
});
