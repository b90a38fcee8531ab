/**
 * Reads JSON in which an object may have the same key several times: old ceph tools print every entry of a list under
 * one name (`rbd status` before Nautilus: `"watchers":{"watcher":{...},"watcher":{...}}`), and JSON.parse keeps the
 * last alone. The first keeps its name, the others are `name#2`, `name#3`. Throws SyntaxError as JSON.parse does.
 */
export function parseRepeatedKeys(text: string): unknown {
  return JSON.parse(numberRepeatedKeys(text));
}

/**
 * The names an object has, and the number that the next one of that name gets. Undefined for an array, whose strings
 * are values.
 */
type Names = Map<string, number> | undefined;

/**
 * A string is skipped as a whole, so that no name of an image, pool or client can be taken for structure. What is not
 * JSON stays what it is not.
 */
function numberRepeatedKeys(text: string): string {
  const open: Names[] = [];
  const parts: string[] = [];
  let done = 0;
  let isKeyNext = false;
  for (let at = 0; at < text.length; at += 1) {
    const names = open.at(-1);
    switch (text.charAt(at)) {
      case '{':
        open.push(new Map());
        isKeyNext = true;
        break;
      case '[':
        open.push(undefined);
        isKeyNext = false;
        break;
      case '}':
      case ']':
        open.pop();
        isKeyNext = false;
        break;
      case ',':
        isKeyNext = names !== undefined;
        break;
      case '"': {
        const end = endOfString(text, at);
        if (isKeyNext && names !== undefined) {
          const name = JSON.parse(text.slice(at, end)) as string;
          const own = unusedName(name, names);
          if (own !== name) {
            parts.push(text.slice(done, at), JSON.stringify(own));
            done = end;
          }
        }
        isKeyNext = false;
        at = end - 1;
      }
    }
  }
  return parts.join('') + text.slice(done);
}

/** Behind the closing quotation mark; the end of the text where there is none. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

function unusedName(name: string, names: Map<string, number>): string {
  let number = names.get(name);
  if (number === undefined) {
    names.set(name, 2);
    return name;
  }
  while (names.has(`${name}#${number}`)) number += 1;
  names.set(name, number + 1);
  names.set(`${name}#${number}`, 2);
  return `${name}#${number}`;
}
