import type { VdiKind } from '../../lvhd/names.ts';
import type { HostProfile } from '../../dom0/host-profile.ts';
import type { StringMap } from '../../xapi/values.ts';

export type KindKeys = Pick<HostProfile, 'imageFormatKey'>;

/**
 * What VDI.sm_config says of the kind of a disk (sm `VDI.py`, `LVHDSR.py`; `image-format` since sm 3.2.12-17 of
 * XCP-ng).
 */
export function kindKeys(kind: VdiKind, { imageFormatKey }: KindKeys): StringMap {
  return { vdi_type: kind, ...(imageFormatKey ? { 'image-format': kind === 'aio' ? 'raw' : 'vhd' } : {}) };
}
