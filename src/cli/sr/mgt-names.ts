import type { Deadline } from '../../base/deadline.ts';
import { RbdsrError } from '../../base/error.ts';
import type { RebuildInput } from '../../lvhd/metadata/rebuild.ts';
import type { VdiMetadata } from '../../lvhd/metadata/record.ts';
import { detectProfile, hostPaths } from '../../dom0/host-profile.ts';
import { readHostSettings } from '../../dom0/host-settings.ts';
import { readInventory } from '../../dom0/inventory.ts';
import { loginXapi, type Xapi } from '../../xapi/client.ts';
import { hostByUuid } from '../../xapi/host.ts';
import { poolMaster } from '../../xapi/pool.ts';
import { srByUuid, srRecord } from '../../xapi/sr.ts';
import { type VdiRecord, vdisOfSr } from '../../xapi/vdi.ts';

/**
 * xapi's word on an SR and its disks. 'not-master' on a host that may not write the metadata of a shared SR; an xapi
 * that does not answer is an error too, for without it nobody knows which host may.
 */
export async function namesFromXapi(
  root: string,
  uuid: string,
  deadline: Deadline,
): Promise<NonNullable<RebuildInput['xapi']>> {
  const paths = hostPaths(root, '');
  const inventory = readInventory(paths.inventory);
  const { xapiSocket } = detectProfile(readHostSettings(paths.settings), inventory, root).paths;
  const xapi = await loginXapi({ socketPath: xapiSocket, deadline });
  try {
    const ref = await srByUuid(xapi, uuid);
    const sr = await srRecord(xapi, ref);
    if (sr.shared) await mustBeMaster(xapi, inventory.hostUuid);
    const allocation = sr.smConfig['allocation'];
    const vdis = await vdisOfSr(xapi, ref);
    return {
      sr: {
        nameLabel: sr.nameLabel,
        nameDescription: sr.nameDescription,
        ...(allocation === 'thick' || allocation === 'thin' ? { allocation } : {}),
      },
      vdis: vdis.map((vdi) => metadataOf(vdi, vdis)),
    };
  } finally {
    await xapi.logout();
  }
}

async function mustBeMaster(xapi: Xapi, hostUuid: string): Promise<void> {
  if ((await hostByUuid(xapi, hostUuid)) === (await poolMaster(xapi))) return;
  throw new RbdsrError('not-master', {
    what: 'the metadata of a shared SR is written by the pool master',
    todo: 'Run this there.',
  });
}

/** The volume names the origin of a snapshot by its uuid, xapi by its reference. */
function metadataOf(vdi: VdiRecord, all: readonly VdiRecord[]): VdiMetadata {
  return {
    uuid: vdi.uuid,
    nameLabel: vdi.nameLabel,
    nameDescription: vdi.nameDescription,
    isASnapshot: vdi.isASnapshot,
    snapshotOf: all.find(({ ref }) => ref === vdi.snapshotOf)?.uuid ?? '',
    snapshotTime: vdi.isASnapshot ? vdi.snapshotTime : '',
    type: vdi.type,
    vdiType: vdi.smConfig['vdi_type'] ?? 'vhd',
    readOnly: vdi.readOnly,
    managed: vdi.managed,
    metadataOfPool: vdi.metadataOfPool,
  };
}
