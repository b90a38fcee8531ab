import { RbdsrError } from '../base/error.ts';

type MetadataValue = string | number;

/**
 * `name { ... }` of LVM's text metadata (lvm2 lib/format_text/export.c). What is asked for and not there is an error.
 */
export class MetadataSection {
  readonly sections = new Map<string, MetadataSection>();
  readonly #values = new Map<string, readonly MetadataValue[]>();

  set(name: string, values: readonly MetadataValue[]): void {
    this.#values.set(name, values);
  }

  section(name: string): MetadataSection {
    const section = this.sections.get(name);
    if (section === undefined) throw unreadable(`a section ${name}`, 'none');
    return section;
  }

  text(name: string): string {
    const value = this.list(name)[0];
    if (typeof value === 'string') return value;
    throw unreadable(`text in ${name}`, String(value));
  }

  number(name: string): number {
    const value = this.list(name)[0];
    if (typeof value === 'number') return value;
    throw unreadable(`a number in ${name}`, String(value));
  }

  texts(name: string): readonly string[] {
    return this.list(name).map(String);
  }

  /** Empty where there is no such value, as LVM leaves out what has none. */
  list(name: string): readonly MetadataValue[] {
    return this.#values.get(name) ?? [];
  }
}

/** LVM's text metadata as a tree: sections, values and lists of them, comments. 'metadata-corrupt'. Pure. */
export function parseMetadataText(text: string): MetadataSection {
  const root = new MetadataSection();
  const open: MetadataSection[] = [root];
  const tokens = tokensOf(text);
  for (let token = tokens.next(); token !== undefined; token = tokens.next()) {
    const here = open.at(-1);
    if (here === undefined) throw unreadable('the end', token);
    if (token === '}') {
      open.pop();
    } else if (tokens.peek() === '{') {
      tokens.next();
      const section = new MetadataSection();
      here.sections.set(token, section);
      open.push(section);
    } else {
      expectToken(tokens, '=');
      here.set(token, valuesOf(tokens));
    }
  }
  if (open.length !== 1) throw unreadable('}', 'the end');
  return root;
}

interface Tokens {
  next(): string | undefined;
  peek(): string | undefined;
}

/** Names, numbers, quoted text and signs; text of another kind is a token that nothing accepts. */
function tokensOf(text: string): Tokens {
  const all = text.replaceAll('\0', '').matchAll(/#[^\n]*|("(?:[^"\\]|\\.)*"|[A-Za-z0-9+_.@-]+|[^\s])/g);
  const tokens = [...all].flatMap(([, token]) => (token === undefined ? [] : [token]));
  let at = 0;
  return {
    next: () => {
      at += 1;
      return tokens[at - 1];
    },
    peek: () => tokens[at],
  };
}

function valuesOf(tokens: Tokens): MetadataValue[] {
  if (tokens.peek() !== '[') return [valueOf(tokens.next())];
  const values: MetadataValue[] = [];
  tokens.next();
  while (tokens.peek() !== ']') {
    values.push(valueOf(tokens.next()));
    if (tokens.peek() === ',') tokens.next();
  }
  tokens.next();
  return values;
}

function valueOf(token: string | undefined): MetadataValue {
  if (token?.startsWith('"') === true) return token.slice(1, -1).replaceAll(/\\(.)/g, '$1');
  if (/^-?[0-9]{1,16}$/.test(token ?? '')) return Number(token);
  throw unreadable('a value', token ?? 'the end');
}

function expectToken(tokens: Tokens, wanted: string): void {
  const token = tokens.next();
  if (token !== wanted) throw unreadable(wanted, token ?? 'the end');
}

function unreadable(expected: string, found: string): RbdsrError {
  return new RbdsrError('metadata-corrupt', {
    what: "LVM's metadata cannot be read",
    expected,
    found: JSON.stringify(found.slice(0, 80)),
  });
}
