import { assertAccess, type CallContext, type Session } from './context.ts';
import type { ClassName, Database, FieldType, FieldValue } from './database.ts';
import { genericCall } from './generic-calls.ts';
import { fromRpc, string } from './wire-values.ts';
import { XapiError } from './xapi-error.ts';
import { isStruct, type Rpc } from './xml-rpc.ts';

/** One call of the XenAPI by name: the value, or an XapiError. */
export async function answer(context: CallContext, method: string, params: readonly Rpc[]): Promise<Rpc> {
  if (method === 'session.login_with_password') return login(context, params);
  const [session, ...rest] = params;
  if (typeof session !== 'string') throw new XapiError('MESSAGE_PARAMETER_COUNT_MISMATCH', method, '1', '0');
  const known = context.sessions.get(session);
  if (known === undefined) throw new XapiError('SESSION_INVALID', session);
  if (context.refused.has(method)) throw new XapiError('INTERNAL_ERROR', method);
  const special = SPECIAL[method];
  if (special !== undefined) {
    if (
      !special.arity.includes(rest.length) &&
      !(method === 'VDI.db_introduce' && rest.length === context.dbIntroduceArity)
    ) {
      throw new XapiError(
        'MESSAGE_PARAMETER_COUNT_MISMATCH',
        method,
        String(special.arity[0] ?? context.dbIntroduceArity),
        String(rest.length),
      );
    }
    return special.run(context, known, rest);
  }
  return genericCall(context, known, method, rest);
}

interface Special {
  readonly arity: readonly number[];
  run(context: CallContext, session: Session, params: readonly Rpc[]): Rpc | Promise<Rpc>;
}

const SPECIAL: Readonly<Record<string, Special>> = {
  'session.logout': { arity: [0], run: logout },
  'VDI.db_introduce': { arity: [], run: dbIntroduce },
  'VDI.db_forget': { arity: [1], run: dbForget },
  'SR.get_VDIs': {
    arity: [1],
    run: ({ db }, _s, [sr]) => db.where('VDI', 'SR', existing(db, 'SR', sr)).map(({ ref }) => ref),
  },
  'SR.get_PBDs': {
    arity: [1],
    run: ({ db }, _s, [sr]) => db.where('PBD', 'SR', existing(db, 'SR', sr)).map(({ ref }) => ref),
  },
  'VDI.get_VBDs': {
    arity: [1],
    run: ({ db }, _s, [vdi]) => db.where('VBD', 'VDI', existing(db, 'VDI', vdi)).map(({ ref }) => ref),
  },
  'secret.create': { arity: [1], run: secretCreate },
  'secret.destroy': { arity: [1], run: ({ db }, _s, [ref]) => (db.destroy('secret', string(ref)), '') },
  'message.create': { arity: [5], run: messageCreate },
  'task.create': {
    arity: [2],
    run: ({ db }, _s, [name]) => db.create('task', { name_label: string(name), status: 'pending' }).ref,
  },
  'task.destroy': { arity: [1], run: ({ db }, _s, [ref]) => (db.destroy('task', string(ref)), '') },
  'task.set_progress': {
    arity: [2],
    run: ({ db }, _s, [ref, value]) => ((db.get('task', string(ref)).fields['progress'] = string(value)), ''),
  },
  'host.call_plugin': { arity: [4], run: callPlugin },
  'SR.scan': {
    arity: [1],
    run: async (context, _s, [sr]) => {
      await context.srScan(existing(context.db, 'SR', sr));
      return '';
    },
  },
  'Async.SR.update': {
    arity: [1],
    run: (context, _s, [sr]) => {
      const task = context.db.create('task', { name_label: 'Async.SR.update', status: 'pending' });
      context.asyncSrUpdate(existing(context.db, 'SR', sr), task);
      return task.ref;
    },
  },
};

function login(context: CallContext, params: readonly Rpc[]): Rpc {
  if (params.length < 2)
    throw new XapiError('MESSAGE_PARAMETER_COUNT_MISMATCH', 'session.login_with_password', '2', String(params.length));
  if (params[0] !== 'root' || params[1] !== '')
    throw new XapiError(
      'SESSION_AUTHENTICATION_FAILED',
      string(params[0]),
      'only root with an empty password, as on the local socket',
    );
  return context.login().ref;
}

function logout(context: CallContext, session: Session): Rpc {
  if (session.srRef !== undefined)
    context.offences.push({ call: 'session.logout', why: 'the session belongs to xapi' });
  context.sessions.delete(session.ref);
  return '';
}

/** Positional arguments of VDI.db_introduce (xen-api `datamodel.ml`). */
const INTRODUCE: readonly (readonly [string, FieldType])[] = [
  ['uuid', 'string'],
  ['name_label', 'string'],
  ['name_description', 'string'],
  ['SR', 'ref'],
  ['type', 'string'],
  ['sharable', 'bool'],
  ['read_only', 'bool'],
  ['other_config', 'map'],
  ['location', 'string'],
  ['xenstore_data', 'map'],
  ['sm_config', 'map'],
  ['managed', 'bool'],
  ['virtual_size', 'int'],
  ['physical_utilisation', 'int'],
  ['metadata_of_pool', 'ref'],
  ['is_a_snapshot', 'bool'],
  ['snapshot_time', 'date'],
  ['snapshot_of', 'ref'],
  ['cbt_enabled', 'bool'],
];

function dbIntroduce(context: CallContext, session: Session, params: readonly Rpc[]): Rpc {
  const fields: Record<string, FieldValue> = {};
  for (const [index, [name, type]] of INTRODUCE.slice(0, params.length).entries()) {
    const value = params[index];
    if (value === undefined) throw new XapiError('FIELD_TYPE_ERROR', name);
    fields[name] = fromRpc(name, type, value);
  }
  const { db } = context;
  const sr = db.get('SR', string(params[3]));
  assertAccess(session, sr.ref, 'VDI.db_introduce');
  const twin = db
    .all('VDI')
    .find(
      (row) =>
        row.fields['uuid'] === fields['uuid'] ||
        (row.fields['SR'] === sr.ref && row.fields['location'] === fields['location']),
    );
  if (twin !== undefined) throw new XapiError('DB_UNIQUENESS_CONSTRAINT_VIOLATION', 'VDI', 'uuid', string(params[0]));
  return db.create('VDI', { ...fields, on_boot: 'persist' }).ref;
}

function dbForget({ db }: CallContext, session: Session, [vdi]: readonly Rpc[]): Rpc {
  const row = db.get('VDI', string(vdi));
  assertAccess(session, row.fields['SR'], 'VDI.db_forget');
  db.destroy('VDI', row.ref);
  return '';
}

function secretCreate({ db }: CallContext, _session: Session, [record]: readonly Rpc[]): Rpc {
  if (!isStruct(record) || typeof record['value'] !== 'string') throw new XapiError('FIELD_TYPE_ERROR', 'value');
  const otherConfig = fromRpc('other_config', 'map', record['other_config'] ?? {});
  return db.create('secret', { value: record['value'], other_config: otherConfig }).ref;
}

function messageCreate({ db }: CallContext, _session: Session, [name, priority, cls, uuid, body]: readonly Rpc[]): Rpc {
  return db.create('message', {
    name: string(name),
    priority: fromRpc('priority', 'int', priority ?? ''),
    cls: string(cls),
    obj_uuid: string(uuid),
    body: string(body),
  }).ref;
}

async function callPlugin(
  context: CallContext,
  session: Session,
  [host, plugin, fn, args]: readonly Rpc[],
): Promise<Rpc> {
  const hostRef = existing(context.db, 'host', host);
  const values = fromRpc('args', 'map', args ?? '') as Record<string, string>;
  const result = await context.callPlugin(session, hostRef, string(plugin), string(fn), values);
  if ('value' in result) return result.value;
  const [code = 'XENAPI_PLUGIN_FAILURE', ...params] = result.failure;
  throw new XapiError(code, ...params);
}

function existing(db: Database, cls: ClassName, ref: Rpc | undefined): string {
  return db.get(cls, string(ref)).ref;
}
