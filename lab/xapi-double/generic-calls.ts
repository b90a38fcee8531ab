import { assertAccess, type CallContext, type Session } from './context.ts';
import { type ClassName, type Database, mapOf, recordOf, type Row, rule, SCHEMA, toRpc } from './database.ts';
import { fromRpc, string } from './wire-values.ts';
import { XapiError } from './xapi-error.ts';
import type { Rpc } from './xml-rpc.ts';

/** Class.get_*, set_*, add_to_*, remove_from_* and the record calls, from the schema alone. */
export function genericCall(
  { db, offences, dbIntroduceArity }: CallContext,
  session: Session,
  method: string,
  params: readonly Rpc[],
): Rpc {
  if (dbIntroduceArity === 18 && method.endsWith('_cbt_enabled')) throw unknown(method);
  const [cls, verb] = method.split('.', 2);
  if (cls === undefined || verb === undefined || !isClass(cls)) throw unknown(method);
  if (verb === 'get_all') return arity(method, params, 0, () => db.all(cls).map(({ ref }) => ref));
  if (verb === 'get_all_records') return arity(method, params, 0, () => records(cls, db.all(cls), dbIntroduceArity));
  if (verb === 'get_all_records_where')
    return arity(method, params, 1, () => records(cls, matching(db, cls, string(params[0])), dbIntroduceArity));
  if (verb === 'get_by_uuid') return arity(method, params, 1, () => db.byUuid(cls, string(params[0])).ref);
  if (verb === 'get_record')
    return arity(method, params, 1, () => record(cls, db.get(cls, string(params[0])), dbIntroduceArity));
  const parts = /^(get|set|add_to|remove_from)_(\w+)$/.exec(verb);
  const [, action, field] = parts ?? [];
  const fieldRule = field === undefined ? undefined : rule(cls, field);
  if (action === undefined || field === undefined || fieldRule === undefined) throw unknown(method);
  const row = db.get(cls, string(params[0]));
  const old = row.fields[field] ?? '';
  if (action === 'get') return arity(method, params, 1, () => toRpc(fieldRule.type, old));
  if (!fieldRule.writable?.includes(action === 'set' ? 'set' : 'map')) throw unknown(method);
  if (action === 'set') {
    assertMaySet(session, cls, row, field, method);
    // There are no calls for single keys of a PBD's.
    if (fieldRule.type === 'map' && method !== 'PBD.set_device_config')
      offences.push({ call: method, why: 'replaces a whole map that others write to as well' });
    return arity(method, params, 2, () => ((row.fields[field] = fromRpc(field, fieldRule.type, params[1] ?? '')), ''));
  }
  const map = mapOf(row, field);
  const key = string(params[1]);
  if (action === 'remove_from') return arity(method, params, 2, () => ((row.fields[field] = omit(map, key)), ''));
  if (Object.hasOwn(map, key)) throw new XapiError('MAP_DUPLICATE_KEY', cls, field, row.ref, key);
  return arity(method, params, 3, () => ((row.fields[field] = { ...map, [key]: string(params[2]) }), ''));
}

/** Setters that xapi keeps for the driver of the SR; names and maps are everybody's. */
function assertMaySet(session: Session, cls: ClassName, row: Row, field: string, method: string): void {
  if (field.startsWith('name_') || field.endsWith('_config')) return;
  if (cls === 'VDI') assertAccess(session, row.fields['SR'], method);
  if (cls === 'SR') assertAccess(session, row.ref, method);
}

function isClass(name: string): name is ClassName {
  return Object.hasOwn(SCHEMA, name);
}

function unknown(method: string): XapiError {
  return new XapiError('MESSAGE_METHOD_UNKNOWN', method);
}

function arity(method: string, params: readonly Rpc[], expected: number, run: () => Rpc): Rpc {
  if (params.length === expected) return run();
  throw new XapiError('MESSAGE_PARAMETER_COUNT_MISMATCH', method, String(expected), String(params.length));
}

function records(cls: ClassName, rows: readonly Row[], arity: number): Rpc {
  return Object.fromEntries(rows.map((row) => [row.ref, record(cls, row, arity)]));
}

/** VDI.cbt_enabled came with 7.3, as did the 19th argument of VDI.db_introduce. */
function record(cls: ClassName, row: Row, dbIntroduceArity: number): Rpc {
  const { cbt_enabled: cbt, ...rest } = recordOf(cls, row);
  return cbt === undefined || dbIntroduceArity === 18 ? rest : { ...rest, cbt_enabled: cbt };
}

/** Only the query a driver makes: field "NAME" = "VALUE". */
function matching(db: Database, cls: ClassName, query: string): Row[] {
  const match = /^\s*field "(\w+)"\s*=\s*"([^"]*)"\s*$/.exec(query);
  const [, field, value] = match ?? [];
  if (field === undefined || value === undefined || rule(cls, field) === undefined)
    throw new XapiError('INVALID_VALUE', 'expr', query);
  return db.where(cls, field, value);
}

function omit(map: Readonly<Record<string, string>>, key: string): Record<string, string> {
  return Object.fromEntries(Object.entries(map).filter(([name]) => name !== key));
}
