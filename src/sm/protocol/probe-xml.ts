import { escapeXml, xmlText } from '../../xmlrpc/xml-text.ts';

/** A name with a text, or with elements. */
export type ProbeElement = readonly [name: string, content: string | readonly ProbeElement[]];

/** As Python's `toprettyxml` lays it out, which is what stock drivers answer: a declaration, then one tab a level. */
export function xmlDocument(root: string, content: readonly ProbeElement[]): string {
  return `<?xml version="1.0" ?>\n${lines([root, content], '')}`;
}

function lines([name, content]: ProbeElement, indent: string): string {
  if (typeof content === 'string') return `${indent}<${name}>${textOf(content)}</${name}>\n`;
  if (content.length === 0) return `${indent}<${name}/>\n`;
  const inner = content.map((element) => lines(element, `${indent}\t`)).join('');
  return `${indent}<${name}>\n${inner}${indent}</${name}>\n`;
}

/**
 * A text with brackets stands in sections of its own: Xen Orchestra's parser (fast-xml-parser 4.5) takes a thousand
 * `&lt;` and `&gt;` in a document and gives up at the next one, and a list may have more. `&amp;` it does not count.
 */
function textOf(content: string): string {
  // A CR lasts as a reference alone.
  if (!/[<>]/.test(content) || content.includes('\r')) return escapeXml(content);
  return `<![CDATA[${xmlText(content).replaceAll(']]>', ']]]]><![CDATA[>')}]]>`;
}
