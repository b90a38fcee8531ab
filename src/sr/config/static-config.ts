import type { SrUuid, VdiUuid } from '../../base/ids.ts';
import type { ClusterAccess } from '../../ceph/cluster/access.ts';
import { encodeCall } from '../../xmlrpc/encode.ts';
import type { StringMap } from '../../xapi/values.ts';

/**
 * The document `static-vdis` keeps and hands back at boot, with xapi down: a call of vdi_attach_from_config. It names
 * the keyring file of this host instead of holding a key. Pure.
 */
export function staticConfig(disk: {
  readonly sr: SrUuid;
  readonly vdi: VdiUuid;
  /** As SrConfig.frozen gives it: a readable file holds it. */
  readonly deviceConfig: StringMap;
}): string {
  return encodeCall('vdi_attach_from_config', [
    {
      device_config: { ...disk.deviceConfig },
      sr_uuid: disk.sr,
      vdi_uuid: disk.vdi,
      command: 'vdi_attach_from_config',
    },
  ]);
}

/** Where a host keeps the keys that such documents name, one file for each SR. */
export function keyringFolder(root: string): string {
  return `${root}/etc/rbdsr/keys`;
}

/** A Ceph keyring with one key: for a file only root reads. */
export function keyringText({ user, key }: Pick<ClusterAccess, 'user' | 'key'>): string {
  return `[client.${user}]\n\tkey = ${key.reveal()}\n`;
}
