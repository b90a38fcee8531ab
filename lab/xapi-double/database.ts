import { randomUUID } from 'node:crypto';
import { XapiError } from './xapi-error.ts';
import { type Rpc, RpcDate } from './xml-rpc.ts';

/** The classes a storage driver touches, with the fields of xen-api `ocaml/idl/datamodel.ml` that matter to it. */
export type FieldType = 'string' | 'bool' | 'int' | 'date' | 'ref' | 'refs' | 'strings' | 'map';
export interface FieldRule {
  readonly type: FieldType;
  /** Which calls may change it: `set` (set_x), `map` (add_to_x, remove_from_x), or neither. */
  readonly writable?: readonly ('set' | 'map')[];
}
export type FieldValue = string | boolean | number | readonly string[] | Readonly<Record<string, string>>;
export interface Row {
  readonly ref: string;
  readonly fields: Record<string, FieldValue>;
}

const text: FieldRule = { type: 'string' };
const textSet: FieldRule = { type: 'string', writable: ['set'] };
const flag: FieldRule = { type: 'bool' };
const flagSet: FieldRule = { type: 'bool', writable: ['set'] };
const size: FieldRule = { type: 'int' };
const sizeSet: FieldRule = { type: 'int', writable: ['set'] };
const ref: FieldRule = { type: 'ref' };
const refSet: FieldRule = { type: 'ref', writable: ['set'] };
const date: FieldRule = { type: 'date' };
const texts: FieldRule = { type: 'strings' };
const mapOnly: FieldRule = { type: 'map' };
const mapSet: FieldRule = { type: 'map', writable: ['set', 'map'] };

export const SCHEMA = {
  pool: { uuid: text, name_label: text, master: ref, other_config: mapSet, restrictions: mapOnly },
  host: {
    uuid: text,
    name_label: text,
    hostname: text,
    address: text,
    other_config: mapSet,
    enabled: flag,
    metrics: ref,
  },
  host_metrics: { uuid: text, live: flag, last_updated: date },
  PIF: { uuid: text, host: ref, device: text, IP: text, IPv6: texts },
  SR: {
    uuid: text,
    name_label: textSet,
    name_description: textSet,
    type: text,
    content_type: text,
    shared: flag,
    sm_config: mapSet,
    other_config: mapSet,
    virtual_allocation: sizeSet,
    physical_utilisation: sizeSet,
    physical_size: sizeSet,
  },
  PBD: { uuid: text, host: ref, SR: ref, device_config: mapSet, currently_attached: flag, other_config: mapSet },
  VDI: {
    uuid: text,
    name_label: textSet,
    name_description: textSet,
    SR: ref,
    type: text,
    sharable: flag,
    read_only: flagSet,
    other_config: mapSet,
    location: text,
    xenstore_data: mapSet,
    sm_config: mapSet,
    managed: flagSet,
    virtual_size: sizeSet,
    physical_utilisation: sizeSet,
    metadata_of_pool: refSet,
    is_a_snapshot: flagSet,
    snapshot_time: { type: 'date', writable: ['set'] },
    snapshot_of: refSet,
    cbt_enabled: flagSet,
    missing: flagSet,
    on_boot: text,
    allow_caching: flag,
  },
  VBD: { uuid: text, VM: ref, VDI: ref, device: text, mode: text, currently_attached: flag },
  secret: { uuid: text, value: textSet, other_config: mapSet },
  task: { uuid: text, name_label: text, status: textSet, progress: text, result: textSet },
  message: { uuid: text, name: text, priority: size, cls: text, obj_uuid: text, body: text },
  SM: { uuid: text, type: text, driver_filename: text, capabilities: { type: 'strings' } },
} as const satisfies Record<string, Record<string, FieldRule>>;

export type ClassName = keyof typeof SCHEMA;
export const NULL_REF = 'OpaqueRef:NULL';

export class Database {
  readonly #rows = new Map<ClassName, Map<string, Row>>();

  /** A new row with every field of the class; what is not given gets the type's empty value. */
  create(cls: ClassName, fields: Record<string, FieldValue>): Row {
    const uuid = typeof fields['uuid'] === 'string' ? fields['uuid'] : randomUUID();
    const row: Row = { ref: `OpaqueRef:${randomUUID()}`, fields: { ...emptyFields(cls), ...fields, uuid } };
    this.#table(cls).set(row.ref, row);
    return row;
  }

  destroy(cls: ClassName, reference: string): void {
    this.get(cls, reference);
    this.#table(cls).delete(reference);
  }

  get(cls: ClassName, reference: string): Row {
    const row = this.#table(cls).get(reference);
    if (row === undefined) throw new XapiError('HANDLE_INVALID', cls, reference);
    return row;
  }

  find(cls: ClassName, reference: string): Row | undefined {
    return this.#table(cls).get(reference);
  }

  byUuid(cls: ClassName, uuid: string): Row {
    const row = this.all(cls).find(({ fields }) => fields['uuid'] === uuid);
    if (row === undefined) throw new XapiError('UUID_INVALID', cls, uuid);
    return row;
  }

  all(cls: ClassName): Row[] {
    return [...this.#table(cls).values()];
  }

  where(cls: ClassName, field: string, value: FieldValue): Row[] {
    return this.all(cls).filter(({ fields }) => fields[field] === value);
  }

  #table(cls: ClassName): Map<string, Row> {
    let table = this.#rows.get(cls);
    if (table === undefined) {
      table = new Map();
      this.#rows.set(cls, table);
    }
    return table;
  }
}

export function rule(cls: ClassName, field: string): FieldRule | undefined {
  return (SCHEMA[cls] as Readonly<Record<string, FieldRule>>)[field];
}

export function mapOf(row: Row, field: string): Readonly<Record<string, string>> {
  const value = row.fields[field];
  if (typeof value !== 'object' || Array.isArray(value)) throw new TypeError(`${field} is not a map`);
  return value as Readonly<Record<string, string>>;
}

export function stringOf(row: Row, field: string): string {
  const value = row.fields[field];
  if (typeof value !== 'string') throw new TypeError(`${field} is not a string`);
  return value;
}

/** A field as xapi sends it: 64-bit integers as decimal strings. */
export function toRpc(type: FieldType, value: FieldValue): Rpc {
  if (type === 'int' && typeof value === 'number') return value.toFixed(0);
  if (type === 'date' && typeof value === 'string') return new RpcDate(value);
  return value as Rpc;
}

export function recordOf(cls: ClassName, row: Row): Record<string, Rpc> {
  return Object.fromEntries(
    Object.entries(SCHEMA[cls]).map(([name, { type }]) => [name, toRpc(type, row.fields[name] ?? '')]),
  );
}

function emptyFields(cls: ClassName): Record<string, FieldValue> {
  return Object.fromEntries(Object.entries(SCHEMA[cls]).map(([name, { type }]) => [name, EMPTY[type]]));
}

const EMPTY: Readonly<Record<FieldType, FieldValue>> = {
  string: '',
  bool: false,
  int: 0,
  date: '19700101T00:00:00Z',
  ref: NULL_REF,
  refs: [],
  strings: [],
  map: {},
};
