import { isArray, isStruct, type XmlRpcStruct, type XmlRpcValue, XmlRpcDateTime } from '../xmlrpc/value.ts';
import { unexpectedAnswer } from './failure.ts';
import type { StringMap } from './values.ts';

/**
 * Reads the fields of one answer of `method`, each with the type the XenAPI documents; anything else is an
 * 'xapi-failure'.
 */
export class Fields {
  readonly #method: string;
  readonly #record: XmlRpcStruct;

  constructor(method: string, record: XmlRpcValue) {
    this.#method = method;
    if (!isStruct(record)) throw unexpectedAnswer(method, 'a record');
    this.#record = record;
  }

  text(name: string): string {
    return asText(this.#method, this.#value(name), name);
  }

  flag(name: string): boolean {
    return asFlag(this.#method, this.#value(name), name);
  }

  texts(name: string): readonly string[] {
    return asTexts(this.#method, this.#value(name));
  }

  size(name: string): number {
    return asSize(this.#method, this.#value(name), name);
  }

  time(name: string): string {
    const value = this.#value(name);
    return value instanceof XmlRpcDateTime ? value.text : asText(this.#method, value, name);
  }

  map(name: string): StringMap {
    return asMap(this.#method, this.#value(name), name);
  }

  /** False where this version of xapi has no such field. */
  flagIfPresent(name: string): boolean {
    return this.#record[name] === undefined ? false : this.flag(name);
  }

  /** Empty where this version of xapi has no such field. */
  textIfPresent(name: string): string {
    return this.#record[name] === undefined ? '' : this.text(name);
  }

  #value(name: string): XmlRpcValue {
    const value = this.#record[name];
    if (value !== undefined) return value;
    throw unexpectedAnswer(this.#method, `a field ${name}`);
  }
}

export function asText(method: string, value: XmlRpcValue, name = 'the answer'): string {
  if (typeof value === 'string') return value;
  throw unexpectedAnswer(method, `${name} to be a text`);
}

export function asFlag(method: string, value: XmlRpcValue, name = 'the answer'): boolean {
  if (typeof value === 'boolean') return value;
  throw unexpectedAnswer(method, `${name} to be a boolean`);
}

/** Bytes: a decimal string on the wire, -1 for unknown. */
export function asSize(method: string, value: XmlRpcValue, name = 'the answer'): number {
  const number = typeof value === 'string' && /^-?\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isSafeInteger(number)) return number;
  throw unexpectedAnswer(method, `${name} to be a size in decimal digits`);
}

export function asMap(method: string, value: XmlRpcValue, name = 'the answer'): StringMap {
  if (isStruct(value) && Object.values(value).every((item) => typeof item === 'string')) return value as StringMap;
  throw unexpectedAnswer(method, `${name} to be a map of texts`);
}

export function asTexts(method: string, value: XmlRpcValue): readonly string[] {
  if (isArray(value) && value.every((item) => typeof item === 'string')) return value;
  throw unexpectedAnswer(method, 'a list of texts');
}

/** The answer of `get_all_records`: each record with its reference. */
export function asRecords<T>(method: string, value: XmlRpcValue, read: (ref: string, fields: Fields) => T): T[] {
  if (!isStruct(value)) throw unexpectedAnswer(method, 'records by reference');
  return Object.entries(value).map(([ref, record]) => read(ref, new Fields(method, record)));
}
