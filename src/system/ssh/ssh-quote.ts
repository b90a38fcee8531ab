/**
 * One command line that a POSIX shell takes apart into exactly `argv`. The SSH protocol carries a command as one
 * string, and the server has the account's shell run it (RFC 4254, 6.5), so this is the only place where a name meets a
 * shell. Every word is quoted, the harmless ones too: nothing is special between single quotes, and a single quote
 * itself stands outside of them. NUL, which no argument can hold, is refused.
 */
export function quoteArgv(argv: readonly string[]): string {
  return argv.map(quoteWord).join(' ');
}

function quoteWord(word: string): string {
  if (word.includes('\0')) throw new RangeError('an argument of a program cannot hold a NUL');
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
