import { shown } from '../shown.ts';

/** A piece of a page. Whatever becomes one has been escaped, or is our own. */
export type Html = { readonly html: string };

/** Our own text, in which each value is escaped unless it is a piece already; a list is put together. */
export function html(texts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  const parts = texts.map((text, at) => text + (at < values.length ? piece(values[at] ?? '') : ''));
  return { html: parts.join('') };
}

type HtmlValue = string | number | Html | readonly Html[];

/** Text as others have chosen it. */
export function namedText(text: string): Html {
  return apart(shown(text));
}

/** Text that is fit to be shown: its writing may run from right to left, and turns nothing around it. */
export function apart(text: string): Html {
  return html`<bdi>${text}</bdi>`;
}

function piece(value: HtmlValue): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return escaped(value);
  return 'html' in value ? value.html : value.map((part) => part.html).join('');
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
