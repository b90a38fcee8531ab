/** What `multipath.conf` would do with /dev/rbd0, as far as its blacklist tells (multipath.conf(5)). */
export function keepsAwayFromRbd(text: string): boolean {
  return sections(text, 'blacklist').some((body) =>
    [...body.matchAll(/^\s*(devnode|wwid)\s+(?:"([^"]*)"|(\S+))/gm)].some(([, key, quoted, bare]) => {
      const pattern = quoted ?? bare ?? '';
      // 6.5 blacklists every WWID and lets in what it wants by name.
      return key === 'wwid' ? pattern === '*' || pattern === '.*' : matches(pattern, 'rbd0');
    }),
  );
}

/** The line that opens the first blacklist. */
export const BLACKLIST_HEAD = /^[ \t]*blacklist[ \t]*\{[^\n}]*$/m;

/** The bodies of the top-level sections of this name, comments taken out. */
function sections(text: string, name: string): readonly string[] {
  const plain = text.replace(/[#!].*$/gm, '');
  const bodies: string[] = [];
  const head = new RegExp(`(?:^|[\\s}])${name}\\s*\\{`, 'g');
  for (let match = head.exec(plain); match !== null; match = head.exec(plain)) {
    const start = match.index + match[0].length;
    bodies.push(plain.slice(start, closing(plain, start)));
  }
  return bodies;
}

function closing(text: string, start: number): number {
  let depth = 1;
  for (let at = start; at < text.length; at += 1) {
    if (text[at] === '{') depth += 1;
    else if (text[at] === '}') depth -= 1;
    if (depth === 0) return at;
  }
  return text.length;
}

/** A pattern that is not one of ECMAScript's is taken for one that does not match: then a line too many is written. */
function matches(pattern: string, name: string): boolean {
  try {
    return new RegExp(pattern).test(name);
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
