import { messageOf } from '../base/error.ts';
import { checkMappable, printable } from '../ceph/image/image-spec.ts';
import { isXmlText } from '../xmlrpc/xml-text.ts';

export interface Selectable<T> {
  /** In the order of their names, which does not change while the names do not. */
  readonly shown: readonly T[];
  /** One line for the log about each of the others. */
  readonly leftOut: readonly string[];
}

/**
 * Which pools or images a person can choose in a wizard: those whose name comes back from it as it went in, and which
 * the kernel can map. A name is shown as it is or not at all, since the wizard sends back what it shows.
 */
export function selectable<T extends { readonly name: string }>(
  kind: 'pool' | 'image',
  entries: readonly T[],
): Selectable<T> {
  const shown: T[] = [];
  const leftOut: string[] = [];
  for (const entry of entries) {
    const why = whyNot(kind, entry.name);
    if (why === undefined) shown.push(entry);
    else leftOut.push(`${kind} "${printable(entry.name.slice(0, 200))}" is not listed: ${why}`);
  }
  return { shown: shown.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)), leftOut };
}

function whyNot(kind: 'pool' | 'image', name: string): string | undefined {
  // To iSCSI wizards a target of this name is all of them.
  if (name === '*') return 'wizards take the name for all of them';
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(name) || !isXmlText(name))
    return 'its name holds a control character or a line break';
  if (name.length > 1024) return 'its name is longer than 1024 characters';
  if (name.includes('\uFFFD')) return 'its name is not valid UTF-8';
  // XenCenter and Xen Orchestra trim what they read, by .NET's and by JavaScript's idea of white space.
  if (/^[\s\u0085]|[\s\u0085]$/u.test(name)) return 'its name begins or ends with white space';
  try {
    checkMappable(kind === 'pool' ? { pool: name, image: 'image' } : { pool: 'pool', image: name });
  } catch (error) {
    return messageOf(error);
  }
  return undefined;
}
