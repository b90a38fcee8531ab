import { type Element, malformed, readTree, type TreeLimits } from './_element.ts';
import { leaf, named, onlyChild, readValue, requireNoText } from './_read-value.ts';
import { isStruct, type XmlRpcCall, type XmlRpcFault, type XmlRpcValue } from './value.ts';

export type XmlRpcResponse = { readonly value: XmlRpcValue } | { readonly fault: XmlRpcFault };

/** A request: xapi's to a plug-in fits one argv string (128 KiB in bytes). */
const CALL_LIMITS: TreeLimits = { length: 1 << 20, depth: 64 };
/** An answer may hold every record of a large pool. */
const RESPONSE_LIMITS: TreeLimits = { length: 64 << 20, depth: 64 };

/**
 * A `methodCall`. Reads what xapi writes (xen-api `ocaml/xapi-types`, `xmlrpc_client`): untyped strings, `<value/>` for
 * the empty one, no declaration, raw UTF-8; and what other clients write: typed strings and white space between
 * elements. Throws 'bad-request' that names line, column and the member, never a value: it may be a secret.
 */
export function decodeCall(document: string): XmlRpcCall {
  const root = readTree(document, CALL_LIMITS);
  named(root, 'methodCall', 'the document');
  requireNoText(root, 'methodCall');
  const [name, params, ...more] = root.children;
  if (name === undefined || more.length > 0) {
    throw malformed('methodCall must hold one methodName, then one params', root.line, root.column);
  }
  const method = leaf(named(name, 'methodName', 'methodCall'), 'methodName').trim();
  if (!/^[A-Za-z0-9_.:/]{1,200}$/.test(method)) {
    throw malformed('the methodName is not one', name.line, name.column, { expected: 'letters, digits and _ . : /' });
  }
  return { method, params: params === undefined ? [] : readParams(named(params, 'params', 'methodCall')) };
}

function readParams(params: Element): XmlRpcValue[] {
  requireNoText(params, 'params');
  return params.children.map((param, index) => {
    const path = `params[${index}]`;
    return readValue(onlyChild(named(param, 'param', path), 'value', path), path);
  });
}

/** A `methodResponse`: one value or one fault. Throws as decodeCall does. */
export function decodeResponse(document: string): XmlRpcResponse {
  const root = readTree(document, RESPONSE_LIMITS);
  named(root, 'methodResponse', 'the document');
  requireNoText(root, 'methodResponse');
  const [body, ...more] = root.children;
  if (body === undefined || more.length > 0) {
    throw malformed('methodResponse must hold one params or one fault', root.line, root.column);
  }
  if (body.name === 'fault') return { fault: readFault(body) };
  const param = onlyChild(named(body, 'params', 'methodResponse'), 'param', 'params');
  return { value: readValue(onlyChild(param, 'value', 'params[0]'), 'params[0]') };
}

function readFault(element: Element): XmlRpcFault {
  const value = readValue(onlyChild(element, 'value', 'fault'), 'fault');
  if (isStruct(value)) {
    const { faultCode, faultString } = value;
    if (typeof faultCode === 'number' && typeof faultString === 'string') return { faultCode, faultString };
  }
  throw malformed('the fault has the wrong shape', element.line, element.column, {
    expected: 'a struct of faultCode, a number, and faultString, a text',
  });
}
