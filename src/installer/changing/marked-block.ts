const BEGIN = '# >>> rbdsr: these lines belong to RBDSR; "rbdsr disable" takes them out';
const END = '# <<< rbdsr';

/**
 * Lines of ours in somebody else's file, between two marks: behind the first line that `after` matches, else at the
 * end. Where they stand already, and are whole, nothing changes; `indent` goes before each.
 */
export function withBlock(before: string, lines: readonly string[], after?: RegExp, indent = ''): string {
  const block = [BEGIN, ...lines, END].map((line) => `${indent}${line}\n`).join('');
  if (before.includes(block)) return before;
  const text = withoutBlock(before) ?? before;
  const at = after === undefined ? -1 : text.search(after);
  const lineEnd = at < 0 ? -1 : text.indexOf('\n', at);
  if (lineEnd >= 0) return text.slice(0, lineEnd + 1) + block + text.slice(lineEnd + 1);
  return text === '' || text.endsWith('\n') ? text + block : `${text}\n${block}`;
}

/** The text without the block. Undefined where there is none, or one of the marks is missing. */
export function withoutBlock(text: string): string | undefined {
  const match = new RegExp(`^[ \\t]*${literal(BEGIN)}\\n(?:.*\\n)*?[ \\t]*${literal(END)}(?:\\n|$)`, 'm').exec(text);
  return match === null ? undefined : text.slice(0, match.index) + text.slice(match.index + match[0].length);
}

export function hasBlock(text: string): boolean {
  return withoutBlock(text) !== undefined;
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
