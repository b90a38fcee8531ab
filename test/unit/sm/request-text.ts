import { encodeCall } from '../../../src/xmlrpc/encode.ts';
import type { XmlRpcValue } from '../../../src/xmlrpc/value.ts';

export const SR = '11111111-2222-3333-4444-555555555555';
export const VDI = '66666666-7777-8888-9999-aaaaaaaaaaaa';

/** A request as xapi writes it, with every member a command may need unless `without` names it. */
export function requestText(
  command: string,
  members: Readonly<Record<string, XmlRpcValue>> = {},
  without: readonly string[] = [],
): string {
  const all: Record<string, XmlRpcValue> = {
    host_ref: 'OpaqueRef:H',
    command,
    args: [],
    device_config: { SRmaster: 'true' },
    session_ref: 'OpaqueRef:S',
    sr_ref: 'OpaqueRef:R',
    sr_uuid: SR,
    vdi_ref: 'OpaqueRef:V',
    vdi_location: VDI,
    vdi_uuid: VDI,
    subtask_of: 'DummyRef:|5d2f|call',
    vdi_on_boot: 'persist',
    vdi_allow_caching: 'false',
    ...members,
  };
  return encodeCall(command, [Object.fromEntries(Object.entries(all).filter(([name]) => !without.includes(name)))]);
}
