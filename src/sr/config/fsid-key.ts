import type { Xapi } from '../../xapi/client.ts';
import { setMapKey } from '../../xapi/map-keys.ts';
import type { StringMap } from '../../xapi/values.ts';

/** In SR.sm_config: the fsid of the cluster that the SR's image is in. */
const FSID_KEY = 'rbd_fsid';

/** Undefined where no mapping has told it yet. */
export function fsidOf(srSmConfig: StringMap): string | undefined {
  return srSmConfig[FSID_KEY];
}

/** What SR.sm_config is to hold of the cluster of this mapping; nothing where the kernel does not tell. */
export function fsidKeys({ fsid }: { readonly fsid?: string }): StringMap {
  return fsid === undefined ? {} : { [FSID_KEY]: fsid };
}

export async function keepFsid(xapi: Xapi, srRef: string, mapping: { readonly fsid?: string }): Promise<void> {
  for (const [key, value] of Object.entries(fsidKeys(mapping))) {
    await setMapKey(xapi, 'SR.sm_config', srRef, key, value);
  }
}
