import type { FieldType, FieldValue } from './database.ts';
import { XapiError } from './xapi-error.ts';
import { isArray, isStruct, type Rpc, RpcDate, RpcInt } from './xml-rpc.ts';

/** xapi takes 64-bit integers as decimal strings, booleans as booleans and times as dateTime.iso8601. */
export function fromRpc(name: string, type: FieldType, value: Rpc): FieldValue {
  if ((type === 'string' || type === 'ref') && typeof value === 'string') return value;
  if (type === 'bool' && typeof value === 'boolean') return value;
  if (type === 'date' && value instanceof RpcDate && /^\d{8}T\d\d:\d\d:\d\dZ?$/.test(value.text)) return value.text;
  if (type === 'int' && typeof value === 'string' && /^-?\d+$/.test(value)) return Number(value);
  if (type === 'int' && value instanceof RpcInt && name === 'priority') return value.value;
  if (type === 'map' && isStruct(value) && Object.values(value).every((item) => typeof item === 'string')) {
    return { ...(value as Record<string, string>) };
  }
  if (type === 'strings' && isArray(value)) return value.map(string);
  throw new XapiError('FIELD_TYPE_ERROR', name);
}

export function string(value: Rpc | undefined): string {
  if (typeof value === 'string') return value;
  throw new XapiError('FIELD_TYPE_ERROR', `expected a string, found ${JSON.stringify(value) ?? 'nothing'}`);
}
