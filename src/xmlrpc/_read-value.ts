import { type Element, malformed } from './_element.ts';
import { XmlRpcBinary, XmlRpcDateTime, XmlRpcDouble, type XmlRpcStruct, type XmlRpcValue } from './value.ts';

/**
 * What a `<value>` element holds. Text without a type element is a string, white space included, as xapi writes one;
 * around a type element only white space may stand. `path` is where the value is, for messages.
 */
export function readValue(element: Element, path: string): XmlRpcValue {
  const [typed, ...more] = element.children;
  if (typed === undefined) return element.text;
  requireNoText(element, path);
  if (more.length > 0) throw wrong(element, path, 'a value holds more than one element');
  const read = Object.hasOwn(READERS, typed.name) ? READERS[typed.name] : undefined;
  if (read === undefined) throw wrong(typed, path, 'a value of unknown type', Object.keys(READERS).join(', '));
  return read(typed, path);
}

type Reader = (element: Element, path: string) => XmlRpcValue;

const READERS: Readonly<Record<string, Reader>> = {
  string: leaf,
  boolean: (element, path) => match(element, path, /^[01]$/, '0 or 1') === '1',
  int: readInt,
  i4: readInt,
  double: (element, path) =>
    new XmlRpcDouble(Number(match(element, path, /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?$/, 'a decimal number'))),
  'dateTime.iso8601': (element, path) =>
    new XmlRpcDateTime(match(element, path, /^[0-9T:.+Z-]{8,40}$/, 'a time such as 19700101T00:00:00Z')),
  base64: (element, path) =>
    new XmlRpcBinary(Buffer.from(match(element, path, /^(?:[A-Za-z0-9+/\s]|=(?=[=\s]*$))*$/, 'base64'), 'base64')),
  nil: (element, path) => {
    match(element, path, /^$/, 'nothing');
    return null;
  },
  array: (element, path) => {
    const data = onlyChild(element, 'data', path);
    requireNoText(data, path);
    return data.children.map((item, index) => {
      const here = `${path}[${index}]`;
      return readValue(named(item, 'value', here), here);
    });
  },
  struct: readStruct,
};

function readStruct(element: Element, path: string): XmlRpcStruct {
  requireNoText(element, path);
  const found: Record<string, XmlRpcValue> = Object.create(null);
  for (const [index, member] of element.children.entries()) {
    const here = `${path}.member[${index}]`;
    named(member, 'member', here);
    requireNoText(member, here);
    const [name, value, ...more] = member.children;
    if (name?.name !== 'name' || value?.name !== 'value' || more.length > 0) {
      throw wrong(member, here, 'a struct member must be one name, then one value');
    }
    const key = leaf(name, here);
    const there = printable(key) ? `${path}.${key}` : here;
    if (key in found) throw wrong(name, there, 'a struct names the same member twice');
    found[key] = readValue(value, there);
  }
  return found;
}

function readInt(element: Element, path: string): number {
  const value = Number(match(element, path, /^[+-]?\d{1,10}$/, 'a whole number'));
  if (value === Math.trunc(value) && value >= -(2 ** 31) && value < 2 ** 31) return value + 0;
  throw wrong(element, path, 'a number is out of range', 'one of 32 bits');
}

/** An element's text, which must be all it holds. */
export function leaf(element: Element, path: string): string {
  if (element.children.length === 0) return element.text;
  throw wrong(element, path, 'an element stands where only text may');
}

/** The one child of an element that may hold no other. */
export function onlyChild(element: Element, name: string, path: string): Element {
  requireNoText(element, path);
  const [child, ...more] = element.children;
  if (child !== undefined && more.length === 0) return named(child, name, path);
  throw wrong(element, path, `${element.children.length} elements stand where one must`, `<${name}>`);
}

export function named(element: Element, name: string, path: string): Element {
  if (element.name === name) return element;
  throw wrong(element, path, 'an element that does not belong here', `<${name}>`);
}

export function requireNoText(element: Element, path: string): void {
  if (element.text.trim() !== '') throw wrong(element, path, 'text stands where only elements may');
}

function match(element: Element, path: string, pattern: RegExp, expected: string): string {
  const text = leaf(element, path).trim();
  if (pattern.test(text)) return text;
  throw wrong(element, path, `the value does not fit its type`, expected);
}

function wrong(element: Element, path: string, what: string, expected?: string): Error {
  const detail = expected === undefined ? {} : { expected };
  return malformed(`${path}: ${what}`, element.line, element.column, detail);
}

/** A member's name is shown where it looks like one, so that a text in the wrong place is not. */
function printable(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_.-]{0,39}$/.test(name);
}
