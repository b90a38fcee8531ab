/** The text of one metadata element: escaping, the cuts stock makes, and a reader for the flat XML of a record. */

/**
 * What stands between the tags. Characters XML cannot hold are dropped: one of them would make the whole volume
 * unreadable for stock.
 */
export function escapeText(text: string): string {
  // eslint-disable-next-line no-control-regex -- XML 1.0 "Char": these are the ones outside it
  const legal = text.replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '');
  return legal.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/**
 * Escaped text cut to at most `maxBytes` of UTF-8, between two characters. Unlike stock, never inside an entity: `&am`
 * would make every record unreadable.
 */
export function truncateEscaped(escaped: string, maxBytes: number): string {
  const bytes = Buffer.from(escaped);
  if (bytes.length <= maxBytes) return escaped;
  let end = maxBytes;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end).replace(/&[a-z]*$/, '');
}

/** One element; a value that is empty gives `<x></x>`. */
export function element(tag: string, escaped: string): string {
  return `<${tag}>${escaped}</${tag}>`;
}

/** `text` in `length` bytes, filled with spaces. Undefined where it does not fit. */
export function padded(text: string, length: number): Buffer | undefined {
  const bytes = Buffer.from(text);
  if (bytes.length > length) return undefined;
  return Buffer.concat([bytes, Buffer.alloc(length - bytes.length, 0x20)]);
}

/**
 * The elements of a flat run of XML, in order: `<a>text</a><b/>`, white space between them, text stripped as stock's
 * reader does, NUL bytes dropped. undefined for anything else.
 */
export function parseElements(xml: string): Map<string, string> | undefined {
  const found = new Map<string, string>();
  const pattern = /\s*(?:<([A-Za-z_][\w.-]*)>([^<]*)<\/\1\s*>|<([A-Za-z_][\w.-]*)\s*\/>)/y;
  const input = xml.replaceAll('\0', '').trimEnd();
  for (let at = 0; at < input.length; at = pattern.lastIndex) {
    pattern.lastIndex = at;
    const match = pattern.exec(input);
    if (match === null) return undefined;
    const text = unescapeText(match[2] ?? '');
    if (text === undefined) return undefined;
    found.set(match[1] ?? match[3] ?? '', text.trim());
  }
  return found;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** undefined for a bare `&` or an unknown entity. */
function unescapeText(escaped: string): string | undefined {
  let known = true;
  const text = escaped.replaceAll(
    /&(?:#(\d{1,7})|#x([0-9A-Fa-f]{1,6})|([a-z]+));|&/g,
    (_match, decimal?: string, hex?: string, name?: string) => {
      const point = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
      if (!Number.isNaN(point) && point <= 0x10ffff) return String.fromCodePoint(point);
      const value = ENTITIES[name ?? ''];
      known &&= value !== undefined;
      return value ?? '';
    },
  );
  return known ? text : undefined;
}
