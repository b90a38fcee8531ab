import { printable } from '../../ceph/image/image-spec.ts';

/** Characters of a name; --json has all of it. */
const LONGEST_NAME = 48;

/** A name that others have chosen, for a terminal: no control characters, none that turn the writing's direction. */
export function shown(text: string): string {
  return printable(text).replaceAll(/\p{Bidi_Control}/gu, (character) => {
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
}

export function shownName(text: string): string {
  const characters = Array.from(shown(text));
  return characters.length <= LONGEST_NAME ? characters.join('') : `${characters.slice(0, LONGEST_NAME - 1).join('')}…`;
}
