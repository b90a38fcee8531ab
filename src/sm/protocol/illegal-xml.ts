import { RbdsrError } from '../../base/error.ts';
import { isXmlText } from '../../xmlrpc/xml-text.ts';

/**
 * Refuses, with 'illegal-xml-char', a label or description that the SR's metadata volume, which is XML, could not
 * carry.
 */
export function checkXmlText(name: string, text: string): void {
  if (isXmlText(text)) return;
  const { index, code } = firstIllegal(text);
  throw new RbdsrError('illegal-xml-char', {
    what: `${name} contains a character that XML cannot carry`,
    expected: 'printable text',
    found: `U+${code.toString(16).toUpperCase().padStart(4, '0')} at position ${index}`,
    todo: 'Choose a name without control characters.',
  });
}

/** Position in characters, not in UTF-16 units, and code point of the first one that XML cannot carry. */
function firstIllegal(text: string): { readonly index: number; readonly code: number } {
  let index = 0;
  for (const character of text) {
    if (!isXmlText(character)) return { index, code: character.codePointAt(0) ?? 0 };
    index += 1;
  }
  return { index, code: 0 };
}
