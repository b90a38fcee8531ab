import type { Session } from './context.ts';
import { stringOf } from './database.ts';
import type { PluginResult } from './host-port.ts';
import { openSession, type XapiDouble } from './double.ts';
import { decodeResponse, encodeCall, isArray, isStruct } from './xml-rpc.ts';

/** What a host's port says of a program that is not there. */
const NOT_FOUND = 127;

/** host.call_plugin of somebody who has logged in, and logs out after it. */
export async function callPlugin(
  double: XapiDouble,
  hostRef: string,
  plugin: string,
  fn: string,
  args: Readonly<Record<string, string>>,
): Promise<PluginResult> {
  const session = openSession(double.sessions);
  try {
    return await runPlugin(double, session, hostRef, plugin, fn, args);
  } finally {
    double.sessions.delete(session.ref);
  }
}

/**
 * Runs `/etc/xapi.d/plugins/<plugin>` on a host with a methodCall of the function, the caller's session and the
 * arguments, and reads the XenAPI answer it prints (xen-api `ocaml/xapi/xapi_plugins.ml`).
 */
export async function runPlugin(
  double: XapiDouble,
  session: Session,
  hostRef: string,
  plugin: string,
  fn: string,
  args: Readonly<Record<string, string>>,
): Promise<PluginResult> {
  const hostUuid = stringOf(double.db.get('host', hostRef), 'uuid');
  if (double.offline.has(hostRef)) return { failure: ['HOST_OFFLINE', hostRef] };
  const program = `/etc/xapi.d/plugins/${plugin}`;
  const request = encodeCall(fn, [session.ref, args]);
  const started = performance.now();
  const result = await double.hostPort.exec(hostUuid, program, request);
  const durationMs = performance.now() - started;
  double.runs.push({ hostUuid, program, request, ...result, startedMs: started, durationMs });
  if (result.code === NOT_FOUND) return { failure: ['XENAPI_MISSING_PLUGIN', plugin] };
  if (result.code !== 0) return failed('non-zero exit', '', result.stdout, result.stderr);
  return readAnswer(result.stdout);
}

function readAnswer(stdout: string): PluginResult {
  const response = decodeResponse(stdout);
  if (!('value' in response) || !isStruct(response.value)) return failed('unparsable answer', stdout);
  const { Status, Value, ErrorDescription } = response.value;
  if (Status === 'Success' && typeof Value === 'string') return { value: Value };
  // What a plug-in reports is the failure of the call, code and all.
  return isArray(ErrorDescription) ? { failure: ErrorDescription.map(String) } : failed('unparsable answer', stdout);
}

function failed(...params: readonly string[]): PluginResult {
  return { failure: ['XENAPI_PLUGIN_FAILURE', ...params] };
}
