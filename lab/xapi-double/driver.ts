import { randomUUID } from 'node:crypto';
import { type Answer, readAnswer } from './answer.ts';
import { mapOf, type Row, stringOf } from './database.ts';
import type { ExecResult } from './host-port.ts';
import { type DriverCall, requestDocument } from './request-document.ts';
import { openDriverSession, type XapiDouble } from './double.ts';
import { XapiError } from './xapi-error.ts';
import { encodeCall, type Rpc } from './xml-rpc.ts';

/** One exec of a driver with a session of its own, gone afterwards. Throws the XapiError a fault becomes. */
export async function runDriver(
  double: XapiDouble,
  hostRef: string,
  driver: string,
  call: Omit<DriverCall, 'hostRef' | 'session' | 'subtaskOf'>,
): Promise<Answer> {
  const session = openDriverSession(double.sessions, call.sr?.ref);
  try {
    const subtaskOf = `DummyRef:|${randomUUID()}|${call.command.replace('_', '.')}`;
    const request = requestDocument({ ...call, hostRef, session: session.ref, subtaskOf });
    const result = await exec(double, hostRef, driver, request);
    return readAnswer(result, { sr: call.sr?.ref, vdi: call.vdi?.ref });
  } finally {
    double.sessions.delete(session.ref);
  }
}

/**
 * A request of exactly these members, after host_ref and command and in the order given: for what xapi would never
 * send. A session, bound to `sr_ref` when there is one, is put in unless `session` is false or the members have one.
 */
export async function send(
  double: XapiDouble,
  hostRef: string,
  driver: string,
  command: string,
  members: Readonly<Record<string, Rpc>>,
  o: { readonly session?: boolean } = {},
): Promise<ExecResult> {
  const { sr_ref: sr, session_ref: given } = members;
  const session = openDriverSession(double.sessions, typeof sr === 'string' ? sr : undefined);
  const own: Record<string, Rpc> = o.session === false || given !== undefined ? {} : { session_ref: session.ref };
  try {
    const struct = { host_ref: hostRef, command, ...own, ...members };
    return await exec(double, hostRef, driver, encodeCall(command, [struct]));
  } finally {
    double.sessions.delete(session.ref);
  }
}

/**
 * sr_get_driver_info has no session. The driver becomes an SM record under its file's name in lower case, without the
 * final SR.
 */
export async function registerDriver(double: XapiDouble, driver: string): Promise<Row> {
  const request = requestDocument({ command: 'sr_get_driver_info', hostRef: double.master.ref });
  const answer = readAnswer(await exec(double, double.master.ref, driver, request), {});
  const { capabilities } = answer.driverInfo();
  const [, name] = /([^/]+)SR$/.exec(driver) ?? [];
  if (name === undefined) throw new Error(`the name of a driver ends in SR: ${driver}`);
  return double.db.create('SM', { type: name.toLowerCase(), driver_filename: driver, capabilities });
}

/** The driver of an SR type. */
export function driverOf(double: XapiDouble, type: string): string {
  const [sm] = double.db.where('SM', 'type', type);
  if (sm === undefined) throw new XapiError('SR_UNKNOWN_DRIVER', type);
  return stringOf(sm, 'driver_filename');
}

/** What every request about an existing SR carries: the PBD's device_config with SRmaster as xapi works it out. */
export function srCall(
  double: XapiDouble,
  srRef: string,
  hostRef: string,
): Pick<DriverCall, 'sr' | 'deviceConfig' | 'srMaster'> {
  const sr = double.db.get('SR', srRef);
  const pbd = pbdOn(double, srRef, hostRef);
  return {
    sr: { ref: srRef, uuid: stringOf(sr, 'uuid') },
    deviceConfig: mapOf(pbd, 'device_config'),
    srMaster: sr.fields['shared'] !== true || hostRef === double.master.ref,
  };
}

export function pbdOn(double: XapiDouble, srRef: string, hostRef: string): Row {
  const pbd = double.db.where('PBD', 'SR', srRef).find(({ fields }) => fields['host'] === hostRef);
  if (pbd === undefined) throw new XapiError('SR_NO_PBDS', srRef);
  return pbd;
}

async function exec(double: XapiDouble, hostRef: string, program: string, request: string): Promise<ExecResult> {
  const hostUuid = stringOf(double.db.get('host', hostRef), 'uuid');
  const started = performance.now();
  const result = await double.hostPort.exec(hostUuid, program, request);
  const durationMs = performance.now() - started;
  double.runs.push({ hostUuid, program, request, ...result, startedMs: started, durationMs });
  return result;
}
