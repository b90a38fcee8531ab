import { RbdsrError } from '../base/error.ts';
import {
  isArray,
  isStruct,
  XmlRpcBinary,
  XmlRpcDateTime,
  type XmlRpcDouble,
  type XmlRpcFault,
  type XmlRpcStruct,
  type XmlRpcValue,
} from './value.ts';
import { escapeXml } from './xml-text.ts';

/**
 * A `methodCall` in the compact form xapi itself writes: no declaration, no white space, strings without a type
 * element. Characters XML cannot carry become U+FFFD (see xml-text.ts).
 */
export function encodeCall(method: string, params: readonly XmlRpcValue[]): string {
  const body = params.map((param) => `<param>${compact(param)}</param>`).join('');
  return `<methodCall><methodName>${escapeXml(method)}</methodName><params>${body}</params></methodCall>`;
}

function compact(value: XmlRpcValue): string {
  if (value === '') return '<value/>';
  if (typeof value === 'string') return `<value>${escapeXml(value)}</value>`;
  if (isArray(value)) {
    return value.length === 0
      ? '<value><array><data/></array></value>'
      : `<value><array><data>${value.map(compact).join('')}</data></array></value>`;
  }
  if (!isStruct(value)) return `<value>${scalar(value)}</value>`;
  const members = Object.entries(value).map(
    ([name, item]) => `<member><name>${escapeXml(name)}</name>${compact(item)}</member>`,
  );
  return members.length === 0 ? '<value><struct/></value>' : `<value><struct>${members.join('')}</struct></value>`;
}

/**
 * A plug-in's answer, byte for byte what the stock drivers print (Python's `xmlrpc.client.dumps(..., allow_none=True)`
 * and the line end of its `print`). Characters XML cannot carry become U+FFFD.
 */
export function encodeResponse(value: XmlRpcValue): string {
  return response(`<params>\n<param>\n${spacious(value)}</param>\n</params>\n`);
}

/** The same for a failure. */
export function encodeFault(fault: XmlRpcFault): string {
  const { faultCode, faultString } = fault;
  return response(`<fault>\n${spacious({ faultCode, faultString })}</fault>\n`);
}

function response(body: string): string {
  return `<?xml version='1.0'?>\n<methodResponse>\n${body}</methodResponse>\n\n`;
}

function spacious(value: XmlRpcValue): string {
  if (value === null) return '<value><nil/></value>';
  if (typeof value === 'string') return `<value><string>${escapeXml(value)}</string></value>\n`;
  if (isArray(value)) return `<value><array><data>\n${value.map(spacious).join('')}</data></array></value>\n`;
  if (isStruct(value)) return `<value><struct>\n${spaciousMembers(value)}</struct></value>\n`;
  return `<value>${scalar(value)}</value>\n`;
}

function spaciousMembers(struct: XmlRpcStruct): string {
  return Object.entries(struct)
    .map(([name, item]) => `<member>\n<name>${escapeXml(name)}</name>\n${spacious(item)}</member>\n`)
    .join('');
}

function scalar(value: null | boolean | number | XmlRpcDouble | XmlRpcDateTime | XmlRpcBinary): string {
  if (value === null) return '<nil/>';
  if (typeof value === 'boolean') return `<boolean>${value ? 1 : 0}</boolean>`;
  if (typeof value === 'number') return `<int>${whole(value)}</int>`;
  if (value instanceof XmlRpcDateTime) return `<dateTime.iso8601>${escapeXml(value.text)}</dateTime.iso8601>`;
  if (value instanceof XmlRpcBinary) return `<base64>${Buffer.from(value.bytes).toString('base64')}</base64>`;
  if (Number.isFinite(value.value)) return `<double>${value.value}</double>`;
  throw unrepresentable('a double that is not finite');
}

function whole(value: number): number {
  if (Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 31) return value + 0;
  throw unrepresentable('a number that is not whole or does not fit 32 bits');
}

function unrepresentable(what: string): RbdsrError {
  return new RbdsrError('internal', { what: `XML-RPC cannot carry ${what}`, todo: 'Sizes travel as decimal strings.' });
}
