import { encodeCall, type Rpc } from './xml-rpc.ts';

/** What xapi knows of one call; members that do not apply are left out (xen-api `ocaml/xapi/sm_exec.ml`). */
export interface DriverCall {
  readonly command: string;
  readonly hostRef: string;
  readonly args?: readonly string[];
  readonly deviceConfig?: Readonly<Record<string, string>>;
  readonly srMaster?: boolean;
  readonly session?: string;
  readonly srSmConfig?: Readonly<Record<string, string>>;
  readonly sr?: { readonly ref: string; readonly uuid: string };
  readonly vdiType?: string;
  readonly vdi?: { readonly ref: string; readonly location: string; readonly uuid: string };
  readonly newVdiUuid?: string;
  readonly driverParams?: Readonly<Record<string, string>>;
  readonly vdiSmConfig?: Readonly<Record<string, string>>;
  /** vdi_introduce: the location and the uuid of a VDI that has no record. */
  readonly introduce?: { readonly location: string; readonly uuid: string };
  readonly subtaskOf?: string;
  readonly onBoot?: 'persist' | 'reset';
  readonly localCacheSr?: string;
}

/** The one argument of the plug-in: members in xapi's order, strings untyped, no white space. */
export function requestDocument(call: DriverCall): string {
  const members: [string, Rpc | undefined][] = [
    ['host_ref', call.hostRef],
    ['command', call.command],
    ['args', call.args ?? []],
    ['device_config', deviceConfig(call)],
    ['session_ref', call.session],
    ['sr_sm_config', call.srSmConfig],
    ['sr_ref', call.sr?.ref],
    ['vdi_type', call.vdiType],
    ['sr_uuid', call.sr?.uuid],
    ['vdi_ref', call.vdi?.ref],
    ['vdi_location', call.vdi?.location ?? call.introduce?.location],
    ['vdi_uuid', call.vdi?.uuid ?? call.newVdiUuid],
    ['driver_params', call.driverParams],
    ['vdi_sm_config', call.vdiSmConfig],
    ['new_uuid', call.introduce?.uuid],
    ['subtask_of', call.subtaskOf],
    ['vdi_on_boot', call.vdi === undefined ? undefined : (call.onBoot ?? 'persist')],
    ['vdi_allow_caching', call.vdi === undefined ? undefined : 'false'],
    ['local_cache_sr', call.localCacheSr],
  ];
  const present = members.filter((member): member is [string, Rpc] => member[1] !== undefined);
  return encodeCall(call.command, [Object.fromEntries(present)]);
}

/** SRmaster first, then the PBD's keys; sr_get_driver_info gets an empty struct. */
function deviceConfig({ deviceConfig: keys, srMaster }: DriverCall): Rpc {
  return keys === undefined ? {} : { SRmaster: srMaster === true ? 'true' : 'false', ...keys };
}
