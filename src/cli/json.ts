/**
 * A value as JSON for a terminal or a program: names that others have chosen hold no control characters that a terminal
 * would obey, nor ones that turn the writing's direction.
 */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value, undefined, 2);
  return `${text.replaceAll(/[\u007F-\u009F\u2028\u2029\p{Bidi_Control}]/gu, escaped)}\n`;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
