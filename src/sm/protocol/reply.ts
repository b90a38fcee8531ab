import type { XmlRpcFault, XmlRpcStruct, XmlRpcValue } from '../../xmlrpc/value.ts';

/** What a command answers when it succeeds: the one value of the response document. */
export interface Reply {
  readonly value: XmlRpcValue;
  /**
   * xapi hands this on as the third parameter of a fault, where user interfaces look for it; nothing else may be on
   * stderr then.
   */
  readonly stderr?: string;
  /**
   * The answer is this fault all the same: "a parameter is missing, and stderr lists what it can be" is how SM lists
   * things.
   */
  readonly fault?: XmlRpcFault;
}

/** Most commands answer nothing; xapi's parser takes `<nil/>` for that and nothing else. */
export const unitReply: Reply = { value: null };

/** sr_probe, vdi_generate_config and their like answer one text. */
export function textReply(text: string): Reply {
  return { value: text };
}

/**
 * vdi_create, vdi_introduce, vdi_snapshot, vdi_clone and vdi_resize answer which VDI it is; in LVHD its location is its
 * uuid.
 */
export function vdiReply(uuid: string): Reply {
  return { value: { location: uuid, uuid } };
}

/** vdi_attach and sr_get_driver_info answer a struct. */
export function structReply(value: XmlRpcStruct): Reply {
  return { value };
}
