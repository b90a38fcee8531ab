import { isXmlText } from '../../xmlrpc/xml-text.ts';
import { RbdsrError } from '../../base/error.ts';
import { type SrUuid, srUuid, type VdiUuid, vdiUuid } from '../../base/ids.ts';
import { decodeCall } from '../../xmlrpc/decode.ts';
import type { StringMap } from '../../xapi/values.ts';
import { isArray, isStruct, type XmlRpcStruct, type XmlRpcValue } from '../../xmlrpc/value.ts';

/**
 * One request as xapi hands it over (xen-api `ocaml/xapi/sm_exec.ml`): every leaf is a string, and a member that does
 * not apply is absent. Records have no prototype.
 */
export interface SmRequest {
  /** The command as it was sent; the command table says whether it exists. */
  readonly command: string;
  readonly args: readonly string[];
  /** PBD.device_config of this host, `SRmaster` left out. Values may be secrets: never log them. */
  readonly deviceConfig: StringMap;
  /**
   * device_config `SRmaster`. Proves nothing without `srRef`: it is "true" in every probe and in a frozen HA
   * configuration.
   */
  readonly srMaster: boolean;
  readonly hostRef?: string;
  readonly session?: string;
  readonly srSmConfig?: StringMap;
  readonly srRef?: string;
  readonly srUuid?: SrUuid;
  readonly vdiType?: string;
  readonly vdiRef?: string;
  readonly vdiLocation?: string;
  readonly vdiUuid?: VdiUuid;
  readonly driverParams?: StringMap;
  readonly vdiSmConfig?: StringMap;
  readonly newUuid?: VdiUuid;
  readonly subtaskOf?: string;
  readonly vdiOnBoot?: string;
  readonly vdiAllowCaching: boolean;
  readonly localCacheSr?: string;
}

/** Reads the one argument xapi passes. Throws 'bad-request' that names the member at fault. */
export function decodeRequest(argv: readonly string[]): SmRequest {
  const document = onlyArgument(argv, 'For the command line of an administrator use rbdsr --help.');
  const { method, params } = decodeCall(document);
  const [struct, ...more] = params;
  if (struct === undefined || more.length > 0 || !isStruct(struct)) {
    throw bad('params', 'one struct', struct === undefined ? 'none' : describe(params));
  }
  return readMembers(method, struct);
}

/** What xapi passes to a program of ours. 'bad-request' with `todo` for a person who called it otherwise. */
export function onlyArgument(argv: readonly string[], todo: string): string {
  const [document, ...rest] = argv;
  if (document !== undefined && rest.length === 0) return document;
  throw new RbdsrError('bad-request', {
    what: 'the plug-in was not called as xapi calls it',
    expected: 'exactly one argument, an XML-RPC methodCall',
    found: `${argv.length} arguments`,
    todo,
  });
}

function readMembers(method: string, struct: XmlRpcStruct): SmRequest {
  const command = text(struct, 'command') ?? method;
  if (command !== method) throw bad('command', `the methodName ${JSON.stringify(method)}`, JSON.stringify(command));
  const { SRmaster, ...deviceConfig } = record(struct, 'device_config') ?? {};
  return compact({
    command,
    args: strings(struct, 'args') ?? [],
    deviceConfig: Object.assign(Object.create(null) as Record<string, string>, deviceConfig),
    srMaster: SRmaster === 'true',
    hostRef: text(struct, 'host_ref'),
    session: text(struct, 'session_ref'),
    srSmConfig: record(struct, 'sr_sm_config'),
    srRef: text(struct, 'sr_ref'),
    srUuid: uuid(struct, 'sr_uuid', srUuid),
    vdiType: text(struct, 'vdi_type'),
    vdiRef: text(struct, 'vdi_ref'),
    vdiLocation: text(struct, 'vdi_location'),
    vdiUuid: uuid(struct, 'vdi_uuid', vdiUuid),
    driverParams: record(struct, 'driver_params'),
    vdiSmConfig: record(struct, 'vdi_sm_config'),
    newUuid: uuid(struct, 'new_uuid', vdiUuid),
    subtaskOf: text(struct, 'subtask_of'),
    vdiOnBoot: text(struct, 'vdi_on_boot'),
    vdiAllowCaching: text(struct, 'vdi_allow_caching') === 'true',
    localCacheSr: text(struct, 'local_cache_sr'),
  });
}

function text(struct: XmlRpcStruct, name: string): string | undefined {
  const value = struct[name];
  if (value === undefined || typeof value === 'string') return value;
  throw bad(name, 'a string', describe(value));
}

function uuid<T>(struct: XmlRpcStruct, name: string, check: (value: string) => T): T | undefined {
  const value = text(struct, name);
  return value === undefined ? undefined : check(value);
}

function strings(struct: XmlRpcStruct, name: string): readonly string[] | undefined {
  const value = struct[name];
  if (value === undefined) return undefined;
  if (isArray(value) && value.every((item) => typeof item === 'string')) return value;
  throw bad(name, 'an array of strings', describe(value));
}

function record(struct: XmlRpcStruct, name: string): StringMap | undefined {
  const value = struct[name];
  if (value === undefined) return undefined;
  if (!isStruct(value)) throw bad(name, 'a struct of strings', describe(value));
  const found: Record<string, string> = Object.create(null);
  for (const [key, item] of Object.entries(value)) {
    if (typeof item !== 'string') throw bad(`${name}.${key}`, 'a string', describe(item));
    found[key] = item;
  }
  return found;
}

/** The shape of a value, never its content: it may be a secret. */
function describe(value: XmlRpcValue): string {
  if (value === null) return 'nil';
  if (isArray(value)) return `an array of ${value.length}`;
  if (isStruct(value)) return 'a struct';
  return `a ${typeof value === 'object' ? 'value of another type' : typeof value}`;
}

function bad(member: string, expected: string, found: string): RbdsrError {
  return new RbdsrError('bad-request', { what: `the request's member ${member} has the wrong shape`, expected, found });
}

type Absent<T> = { [K in keyof T]: T[K] | undefined };

function compact(members: Absent<Required<SmRequest>>): SmRequest {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as unknown as SmRequest;
}

/** One request as one line of a log: which command on what, and the names, never the values, of its device_config. */
export function summarise(request: SmRequest): string {
  const parts = [request.command];
  if (request.srUuid !== undefined) parts.push(`sr=${request.srUuid}`);
  if (request.vdiUuid !== undefined) parts.push(`vdi=${request.vdiUuid}`);
  if (request.command !== 'vdi_create' && request.args.length > 0)
    parts.push(`args=${JSON.stringify(request.args).slice(0, 200)}`);
  if (request.srMaster) parts.push('master');
  const keys = Object.keys(request.deviceConfig).map((key) => key.slice(0, 64).replaceAll(/[^\w.-]/g, '?'));
  if (keys.length > 0) parts.push(`device_config=[${keys.slice(0, 30).join(' ')}]`);
  return parts.join(' ');
}

/**
 * Refuses, with 'illegal-xml-char', a label or description that the SR's metadata volume, which is XML, could not
 * carry.
 */
export function checkXmlText(name: string, text: string): void {
  if (isXmlText(text)) return;
  const { index, code } = firstIllegal(text);
  throw new RbdsrError('illegal-xml-char', {
    what: `${name} contains a character that XML cannot carry`,
    expected: 'printable text',
    found: `U+${code.toString(16).toUpperCase().padStart(4, '0')} at position ${index}`,
    todo: 'Choose a name without control characters.',
  });
}

/** Position in characters, not in UTF-16 units, and code point of the first one that XML cannot carry. */
function firstIllegal(text: string): { readonly index: number; readonly code: number } {
  let index = 0;
  for (const character of text) {
    if (!isXmlText(character)) return { index, code: character.codePointAt(0) ?? 0 };
    index += 1;
  }
  return { index, code: 0 };
}
