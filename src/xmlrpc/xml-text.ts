/**
 * Text that XML 1.0 can carry (https://www.w3.org/TR/xml/#charsets): TAB, LF, CR and everything from U+0020 up, but for
 * lone surrogates, U+FFFE and U+FFFF. xapi's own rule for labels is the same.
 */
export function isXmlText(text: string): boolean {
  return !ILLEGAL.test(text);
}

/**
 * `text` as element content. A character XML cannot carry becomes U+FFFD: an answer that holds a program's last words
 * must reach the caller whatever bytes are in them, and whoever must not change a text asks isXmlText first. CR is
 * written as a reference because a reader turns a raw one into LF.
 */
export function escapeXml(text: string): string {
  return xmlText(text).replace(/[&<>\r]/g, (character) => REFERENCES[character] ?? character);
}

/** `text` with U+FFFD for what XML cannot carry, and nothing escaped. */
export function xmlText(text: string): string {
  return text.replace(ILLEGAL_ALL, '\uFFFD');
}

const REFERENCES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '\r': '&#13;' };

const CLASS =
  '[\\u0000-\\u0008\\u000B\\u000C\\u000E-\\u001F\\uFFFE\\uFFFF]|[\\uD800-\\uDBFF](?![\\uDC00-\\uDFFF])|(?<![\\uD800-\\uDBFF])[\\uDC00-\\uDFFF]';
const ILLEGAL = new RegExp(CLASS);
const ILLEGAL_ALL = new RegExp(CLASS, 'g');
