import { type SaxesTagPlain, SaxesParser } from 'saxes';

/**
 * XML-RPC as xapi writes and reads it (xen-api `ocaml/libs/xml-light2`, `ocaml/xapi-types`, `ocaml/rpc-light`). The
 * product has a codec of its own; this one is separate so that the two check each other.
 */
export type Rpc = string | boolean | null | RpcInt | RpcDate | readonly Rpc[] | RpcStruct;
export interface RpcStruct {
  readonly [name: string]: Rpc;
}
/** `<i4>` or `<int>`; xapi's 64-bit integers travel as strings. */
export class RpcInt {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}
export class RpcDate {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export function isStruct(value: Rpc | undefined): value is RpcStruct {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isScalarObject(value);
}

export function isArray(value: Rpc | undefined): value is readonly Rpc[] {
  return Array.isArray(value);
}

function isScalarObject(value: object): boolean {
  return value instanceof RpcInt || value instanceof RpcDate;
}

/** Untyped strings, `<value/>` for the empty one, no white space: xapi's own encoding. */
export function encodeValue(value: Rpc): string {
  if (value === '') return '<value/>';
  return `<value>${encodeInner(value)}</value>`;
}

function encodeInner(value: Rpc): string {
  if (typeof value === 'string') return escapeText(value);
  if (typeof value === 'boolean') return `<boolean>${value ? 1 : 0}</boolean>`;
  if (value === null) return '<nil/>';
  if (value instanceof RpcInt) return `<i4>${value.value}</i4>`;
  if (value instanceof RpcDate) return `<dateTime.iso8601>${value.text}</dateTime.iso8601>`;
  if (isArray(value) && value.length === 0) return '<array><data/></array>';
  if (isArray(value)) return `<array><data>${value.map(encodeValue).join('')}</data></array>`;
  const members = Object.entries(value);
  if (members.length === 0) return '<struct/>';
  const body = members.map(([name, item]) => `<member><name>${escapeText(name)}</name>${encodeValue(item)}</member>`);
  return `<struct>${body.join('')}</struct>`;
}

export function encodeCall(method: string, params: readonly Rpc[]): string {
  const body = params.map((param) => `<param>${encodeValue(param)}</param>`).join('');
  return `<methodCall><methodName>${escapeText(method)}</methodName><params>${body}</params></methodCall>`;
}

export function encodeResponse(value: Rpc): string {
  return `<methodResponse><params><param>${encodeValue(value)}</param></params></methodResponse>`;
}

/** Bytes below 0x20 other than TAB, LF and CR are dropped, as xapi does. */
function escapeText(text: string): string {
  let clean = '';
  for (const character of text) {
    const code = character.charCodeAt(0);
    if (code >= 0x20 || code === 9 || code === 10 || code === 13) clean += ENTITIES[character] ?? character;
  }
  return clean;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

export interface Element {
  readonly name: string;
  readonly children: Element[];
  text: string;
}

/** The document's root element. Attributes are refused, as xapi's reader refuses them. */
export function parseXml(document: string): Element {
  const root: Element = { name: '', children: [], text: '' };
  const open: Element[] = [root];
  const parser = new SaxesParser();
  parser.on('error', (error) => {
    throw new Error(`not well-formed XML: ${error.message}`);
  });
  parser.on('opentag', (tag: SaxesTagPlain) => {
    if (Object.keys(tag.attributes).length > 0) throw new Error(`element ${tag.name} carries attributes`);
    const element: Element = { name: tag.name, children: [], text: '' };
    open.at(-1)?.children.push(element);
    open.push(element);
  });
  parser.on('text', (text) => {
    const element = open.at(-1);
    // xapi's reader drops white space that stands alone, even where a string is expected.
    if (element !== undefined && text.trim() !== '') element.text += text;
  });
  parser.on('closetag', () => {
    const element = open.pop();
    if (element !== undefined && element.children.length > 0 && element.text !== '') {
      throw new Error(`element ${element.name} holds text and elements`);
    }
  });
  parser.write(document.trim()).close();
  const [first] = root.children;
  if (first === undefined) throw new Error('empty document');
  return first;
}

export interface Call {
  readonly method: string;
  readonly params: readonly Rpc[];
}

export function decodeCall(document: string): Call {
  const root = parseXml(document);
  if (root.name !== 'methodCall') throw new Error(`expected methodCall, found ${root.name}`);
  const method = child(root, 'methodName').text.trim();
  const params = root.children.find(({ name }) => name === 'params')?.children ?? [];
  return { method, params: params.map((param) => decodeValue(child(param, 'value'))) };
}

export type Response = { readonly value: Rpc } | { readonly fault: { readonly code: number; readonly text: string } };

/** A plug-in's answer by xapi's rules: params/param/value, or fault with faultCode and faultString. */
export function decodeResponse(document: string): Response {
  const root = parseXml(document);
  if (root.name !== 'methodResponse') throw new Error(`expected methodResponse, found ${root.name}`);
  const [body] = root.children;
  if (body === undefined || root.children.length !== 1) throw new Error('methodResponse must have exactly one child');
  if (body.name === 'params') return { value: decodeValue(child(child(body, 'param'), 'value')) };
  if (body.name !== 'fault') throw new Error(`expected params or fault, found ${body.name}`);
  const fault = decodeValue(child(body, 'value'));
  if (!isStruct(fault)) throw new Error('the fault is not a struct');
  const { faultCode, faultString } = fault;
  if (!(faultCode instanceof RpcInt)) throw new Error('faultCode is not an int or i4');
  if (typeof faultString !== 'string') throw new Error('faultString is not a string');
  return { fault: { code: faultCode.value, text: faultString } };
}

function child(element: Element, name: string): Element {
  const found = element.children.filter((candidate) => candidate.name === name);
  const [only] = found;
  if (only === undefined || found.length !== 1) throw new Error(`expected one ${name} in ${element.name}`);
  return only;
}

function decodeValue(element: Element): Rpc {
  const [typed] = element.children;
  if (typed === undefined) return element.text;
  if (element.children.length > 1) throw new Error('a value holds more than one element');
  switch (typed.name) {
    case 'string':
      return typed.text;
    case 'boolean':
      return typed.text.trim() !== '0';
    case 'int':
    case 'i4':
      if (!/^-?\d+$/.test(typed.text.trim())) throw new Error('an int that is none');
      return new RpcInt(Number(typed.text.trim()));
    case 'nil':
      if (typed.text !== '') throw new Error('nil holds text');
      return null;
    case 'dateTime.iso8601':
      return new RpcDate(typed.text.trim());
    case 'array':
      return child(typed, 'data').children.map(decodeValue);
    case 'struct':
      return Object.fromEntries(typed.children.map(decodeMember));
    default:
      throw new Error(`a value of unknown type ${typed.name}`);
  }
}

function decodeMember(member: Element): [string, Rpc] {
  const [name, value] = member.children;
  if (member.name !== 'member' || name?.name !== 'name' || value?.name !== 'value' || member.children.length !== 2) {
    throw new Error('a struct member must be name, then value');
  }
  return [name.text, decodeValue(value)];
}
