/**
 * What an XML-RPC document can carry (http://xmlrpc.com/spec.md, with the `nil` extension that SM replies use).
 * A number stands for `int` and must be a whole one in 32 bits, as XML-RPC has no other; a double and a time have their
 * own classes, so that nothing is guessed when a value is written. A decoded struct has no prototype: any member name
 * is safe.
 */
export type XmlRpcValue =
  | null
  | boolean
  | number
  | string
  | XmlRpcDouble
  | XmlRpcDateTime
  | XmlRpcBinary
  | readonly XmlRpcValue[]
  | XmlRpcStruct;

export interface XmlRpcStruct {
  readonly [member: string]: XmlRpcValue;
}

export interface XmlRpcCall {
  readonly method: string;
  readonly params: readonly XmlRpcValue[];
}

export interface XmlRpcFault {
  readonly faultCode: number;
  readonly faultString: string;
}

export class XmlRpcDouble {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** `dateTime.iso8601`, kept as the text on the wire, for example `19700101T00:00:00Z`. */
export class XmlRpcDateTime {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export class XmlRpcBinary {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

export function isStruct(value: XmlRpcValue): value is XmlRpcStruct {
  return typeof value === 'object' && value !== null && !isArray(value) && !isLeafObject(value);
}

export function isArray(value: XmlRpcValue): value is readonly XmlRpcValue[] {
  return Array.isArray(value);
}

function isLeafObject(value: object): boolean {
  return value instanceof XmlRpcDouble || value instanceof XmlRpcDateTime || value instanceof XmlRpcBinary;
}
